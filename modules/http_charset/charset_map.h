// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// CharsetMap: a `charset_map` block, and recoding by it in either direction. Pure: bytes in, bytes out.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/error.h"

namespace fairlead::http_charset {

class CharsetMap {
 public:
  // Names are views that outlive the map. The second charset may be UTF-8, the first is one of single bytes.
  CharsetMap(std::string_view from, std::string_view to);

  // A line of the block: a byte of the first charset and one of the second (or up to four bytes of UTF-8), in hex.
  ConfResult<Unit> add(std::string_view from, std::string_view to);

  enum class Way : uint8_t { none, forward, backward };
  // Which way of this map leads from one charset to another; names compare without case.
  Way way(std::string_view from, std::string_view to) const;
  bool is_utf8() const { return is_utf8_; }
  bool names(std::string_view charset) const;
  bool is_pair(std::string_view a, std::string_view b) const { return way(a, b) != Way::none; }

  // Appends the recoded text. What cannot be told in the other charset is `?`, or &#NUMBER; if it comes from UTF-8. A character that is not
  // complete stays in `rest`, less than four bytes, to stand before the next text.
  void recode(Way way, std::string_view text, std::string& to, std::string_view& rest) const;

 private:
  void append_single(char32_t character, std::string& to) const;

  std::string_view from_, to_;
  bool is_utf8_;
  std::array<char, 256> forward_, backward_;
  std::array<std::string, 256> characters_;             // in UTF-8
  std::unordered_map<char32_t, char> single_bytes_;     // the way back
};

// The first character of a text in UTF-8 (RFC 3629): its bytes, 0 if more have to come; its number, bad_character if it is none.
constexpr char32_t bad_character = 0xffffffff;
struct Character {
  size_t bytes;
  char32_t number;
};
Character first_character(std::string_view text);

}  // namespace fairlead::http_charset
