// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/utf8.h"

#include <algorithm>

namespace fairlead {

size_t utf8_character(std::string_view text) {
  if (text.empty()) return 0;
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

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    size_t size = utf8_character(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string as_utf8(std::string_view text, char replacement, size_t bytes_max) {
  std::string valid;
  valid.reserve(std::min(text.size(), bytes_max));
  while (!text.empty()) {
    size_t size = utf8_character(text);
    std::string_view character = size ? text.substr(0, size) : std::string_view(&replacement, 1);
    if (character.size() > bytes_max - valid.size()) break;
    valid += character;
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return valid;
}

}  // namespace fairlead
