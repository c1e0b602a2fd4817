// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/otel/protobuf.h"

#include <algorithm>

namespace fairlead::http::otel {

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
size_t utf8_character(std::string_view text) {
  auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
  auto follows = [&](size_t at) { return (byte(at) & 0xc0) == 0x80; };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    unsigned least = first == 0xe0 ? 0xa0 : 0x80, most = first == 0xed ? 0x9f : 0xbf;
    return byte(1) >= least && byte(1) <= most && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    unsigned least = first == 0xf0 ? 0x90 : 0x80, most = first == 0xf4 ? 0x8f : 0xbf;
    return byte(1) >= least && byte(1) <= most && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

void ProtoWriter::text(uint32_t field, std::string_view value, size_t bytes_max) {
  message(field, [&] {
    size_t begin = out_.size();
    while (!value.empty()) {
      size_t size = utf8_character(value);
      std::string_view character = size ? value.substr(0, size) : std::string_view("?");
      if (out_.size() - begin + character.size() > bytes_max) return;
      out_ += character;
      value.remove_prefix(std::max<size_t>(size, 1));
    }
  });
}

}  // namespace fairlead::http::otel
