// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_charset/charset_map.h"

#include "core/base/encoding.h"
#include "core/base/format.h"
#include "core/base/text.h"

namespace fairlead::http_charset {

static size_t byte_of(char c) { return static_cast<unsigned char>(c); }

CharsetMap::CharsetMap(std::string_view from, std::string_view to) : from_(from), to_(to), is_utf8_(equal_nocase(to, "utf-8")) {
  for (size_t i = 0; i < 256; ++i) {
    char same = i < 128 ? static_cast<char>(i) : '?';
    forward_[i] = backward_[i] = same;
    characters_[i] = std::string(1, same);
  }
}

static std::optional<char> parse_byte(std::string_view digits) {
  auto number = digits.size() <= 2 ? parse_hex(digits) : std::nullopt;
  return number ? std::optional(static_cast<char>(*number)) : std::nullopt;
}

ConfResult<Unit> CharsetMap::add(std::string_view from, std::string_view to) {
  auto byte = parse_byte(from);
  if (!byte) return format("invalid value \"{}\"", from);
  if (!is_utf8_) {
    auto other = parse_byte(to);
    if (!other) return format("invalid value \"{}\"", to);
    forward_[byte_of(*byte)] = *other;
    backward_[byte_of(*other)] = *byte;
    return Unit();
  }
  auto bytes = hex_decode(to);
  if (!bytes || bytes->empty() || bytes->size() > 4) return format("invalid value \"{}\"", to);
  Character character = first_character(*bytes);
  if (character.bytes != bytes->size() || character.number == bad_character) return format("invalid value \"{}\"", to);
  characters_[byte_of(*byte)] = *bytes;
  single_bytes_[character.number] = *byte;
  return Unit();
}

CharsetMap::Way CharsetMap::way(std::string_view from, std::string_view to) const {
  if (equal_nocase(from, from_) && equal_nocase(to, to_)) return Way::forward;
  if (equal_nocase(from, to_) && equal_nocase(to, from_)) return Way::backward;
  return Way::none;
}

bool CharsetMap::names(std::string_view charset) const { return equal_nocase(charset, from_) || equal_nocase(charset, to_); }

static bool is_tail(char c) { return (byte_of(c) & 0xc0) == 0x80; }

Character first_character(std::string_view text) {
  size_t lead = byte_of(text[0]);
  if (lead < 0x80) return {1, static_cast<char32_t>(lead)};
  size_t bytes = lead >= 0xf8 ? 0 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (bytes == 0) return {1, bad_character};
  char32_t number = static_cast<char32_t>(lead & (0x7fu >> bytes));
  for (size_t i = 1; i < bytes; ++i) {
    if (i == text.size()) return {0, bad_character};
    if (!is_tail(text[i])) return {i, bad_character};
    number = number << 6 | static_cast<char32_t>(byte_of(text[i]) & 0x3f);
  }
  constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  bool is_good = number >= least[bytes] && number <= 0x10ffff;
  return {bytes, is_good ? number : bad_character};
}

void CharsetMap::append_single(char32_t character, std::string& to) const {
  if (character < 128) {
    to += static_cast<char>(character);
  } else if (auto found = single_bytes_.find(character); found != single_bytes_.end()) {
    to += found->second;
  } else if (character == bad_character) {
    to += '?';
  } else {
    to += format("&#{};", static_cast<uint32_t>(character));
  }
}

void CharsetMap::recode(Way way, std::string_view text, std::string& to, std::string_view& rest) const {
  rest = {};
  if (!is_utf8_) {
    const auto& table = way == Way::forward ? forward_ : backward_;
    for (char byte : text) to += table[byte_of(byte)];
    return;
  }
  if (way == Way::forward) {
    for (char byte : text) to += characters_[byte_of(byte)];
    return;
  }
  while (!text.empty()) {
    Character character = first_character(text);
    if (character.bytes == 0) {
      rest = text;
      return;
    }
    append_single(character.number, to);
    text.remove_prefix(character.bytes);
  }
}

}  // namespace fairlead::http_charset
