// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The wire format of protocol buffers (protobuf.dev, "Encoding"), without descriptions of messages: fields of a message one after another,
// each a varint of number and type and then its value. Which numbers mean what is the caller's. Why not the runtime of Protocol Buffers:
// src/README.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fairlead {

class ProtoWriter {
 public:
  // Appends to `out`.
  explicit ProtoWriter(std::string& out) : out_(out) {}

  // int32, int64, uint, enum, bool. Zero is written, too: the default is the reader's.
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
  // At most `bytes_max` of it, whole characters. A string must be UTF-8, or a strict reader drops the whole message: each byte that is part
  // of no character becomes `replacement`.
  void text(uint32_t field, std::string_view value, char replacement, size_t bytes_max = std::string_view::npos);
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

// The fields of one message, in the order in which they came:
//   for (ProtoReader in(message); in.next();) if (in.field() == 1) ...
// Of a field that may stand once the last one counts; within an embedded message that stands twice the fields of both do, the later ones
// last. Groups, which proto3 does not have, make the message a broken one.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : rest_(message) {}
  // Goes to the next field. False: there is none, or the message is broken there.
  bool next();
  bool is_broken() const { return broken_; }
  uint32_t field() const { return field_; }
  bool is_number() const { return is_number_; }
  // Of a varint or a fixed number; of other fields 0.
  uint64_t number() const { return number_; }
  // Of a string, bytes, or an embedded message, a view into the message; of other fields empty.
  std::string_view bytes() const { return bytes_; }

 private:
  bool read_varint(uint64_t& value);
  bool read_fixed(size_t size);
  bool read_value(uint64_t type);

  std::string_view rest_;
  uint32_t field_ = 0;
  bool is_number_ = false, broken_ = false;
  uint64_t number_ = 0;
  std::string_view bytes_;
};

// A message of gRPC as it goes over the wire: a flag for compression, four bytes of length (grpc/doc/PROTOCOL-HTTP2.md).
std::string grpc_framed(std::string_view message);
// The one message that `framed` holds. Errors: a text that says what is wrong with it.
struct Unframed {
  std::string_view message;
  const char* wrong = nullptr;
};
Unframed grpc_unframed(std::string_view framed);

}  // namespace fairlead
