// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The wire format of protocol buffers as far as a writer of OTLP needs it (protobuf.dev, "Encoding"): fields of a message one after
// another, each a varint of number and type and then its value. Field numbers and meanings are in spans.cc, from opentelemetry-proto v1.
// Texts must be UTF-8, or a collector drops the whole batch: text() sees to it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fairlead::http::otel {

class ProtoWriter {
 public:
  // Appends to `out`.
  explicit ProtoWriter(std::string& out) : out_(out) {}

  // int64, enum, bool. Zero is written, too: the default is the reader's.
  void number(uint32_t field, uint64_t value) {
    varint(field << 3 | 0);
    varint(value);
  }
  void fixed64(uint32_t field, uint64_t value) {
    varint(field << 3 | 1);
    for (int byte = 0; byte < 8; ++byte) out_ += static_cast<char>(value >> 8 * byte);
  }
  void bytes(uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    out_ += value;
  }
  // At most `bytes_max` of it; bytes that are not UTF-8 become question marks.
  void text(uint32_t field, std::string_view value, size_t bytes_max);
  // A message within this one: `fill` writes its fields.
  template <class Fill>
  void message(uint32_t field, Fill fill) {
    varint(field << 3 | 2);
    size_t begin = out_.size();
    fill();
    size_t length = out_.size() - begin;
    char digits[10];
    out_.insert(begin, digits, varint_to(digits, length));
  }

 private:
  static size_t varint_to(char* to, uint64_t value) {
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) to[size++] = static_cast<char>(value | 0x80);
    to[size++] = static_cast<char>(value);
    return size;
  }
  void varint(uint64_t value) {
    char digits[10];
    out_.append(digits, varint_to(digits, value));
  }
  std::string& out_;
};

// The bytes of the UTF-8 character at the front of `text`, which is not empty; 0 if there is none.
size_t utf8_character(std::string_view text);

}  // namespace fairlead::http::otel
