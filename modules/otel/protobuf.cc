// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/otel/protobuf.h"

#include <algorithm>

#include "core/base/utf8.h"

namespace fairlead {

namespace {

enum WireType : uint64_t { varint_type = 0, fixed64_type = 1, length_type = 2, fixed32_type = 5 };
constexpr size_t frame_bytes = 5;

}  // namespace

void ProtoWriter::text(uint32_t field, std::string_view value, char replacement, size_t bytes_max) {
  message(field, [&] {
    size_t begin = out_.size();
    while (!value.empty()) {
      size_t size = utf8_character(value);
      std::string_view character = size ? value.substr(0, size) : std::string_view(&replacement, 1);
      if (character.size() > bytes_max - (out_.size() - begin)) return;
      out_ += character;
      value.remove_prefix(std::max<size_t>(size, 1));
    }
  });
}

bool ProtoReader::read_varint(uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    auto byte = static_cast<unsigned char>(rest_[0]);
    rest_.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool ProtoReader::read_fixed(size_t size) {
  if (rest_.size() < size) return false;
  for (size_t byte = 0; byte < size; ++byte) number_ |= uint64_t{static_cast<unsigned char>(rest_[byte])} << 8 * byte;
  rest_.remove_prefix(size);
  return true;
}

bool ProtoReader::read_value(uint64_t type) {
  is_number_ = type != length_type;
  switch (type) {
    case varint_type: return read_varint(number_);
    case fixed64_type: return read_fixed(8);
    case fixed32_type: return read_fixed(4);
    case length_type: {
      uint64_t size;
      if (!read_varint(size) || size > rest_.size()) return false;
      bytes_ = rest_.substr(0, size);
      rest_.remove_prefix(size);
      return true;
    }
    default: return false;
  }
}

bool ProtoReader::next() {
  if (rest_.empty() || broken_) return false;
  number_ = 0;
  bytes_ = {};
  uint64_t tag;
  bool has_tag = read_varint(tag) && tag >> 3 != 0 && tag <= UINT32_MAX;
  field_ = has_tag ? static_cast<uint32_t>(tag >> 3) : 0;
  broken_ = !has_tag || !read_value(tag & 7);
  return !broken_;
}

std::string grpc_framed(std::string_view message) {
  std::string frame(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(message.size() >> shift);
  return frame.append(message);
}

Unframed grpc_unframed(std::string_view framed) {
  if (framed.size() < frame_bytes) return {{}, "gave no whole message"};
  if (framed[0] != 0) return {{}, "gave a compressed message"};
  uint64_t size = 0;
  for (size_t i = 1; i < frame_bytes; ++i) size = size << 8 | static_cast<unsigned char>(framed[i]);
  framed.remove_prefix(frame_bytes);
  if (framed.size() != size) return {{}, "gave other than one message"};
  return {framed, nullptr};
}

}  // namespace fairlead
