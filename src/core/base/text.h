// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Plain text: ASCII case, search, trimming, splitting, and the number, size and time grammars of the configuration. Escaping is in
// escape.h, hex and base64 in encoding.h. Everything here is a pure function of views; nothing allocates and nothing owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace fairlead {

// ASCII only, whatever the locale; other bytes stay.
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }  // what HTTP calls OWS

// The value of a hex digit of either case, or -1.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// What == says, for texts that are short nearly always: by words whose last overlaps the one before it, in place of a call of memcmp().
[[gnu::always_inline]] inline bool equal_short(std::string_view a, std::string_view b) {
  size_t size = a.size();
  if (size != b.size()) return false;
  auto differs = [&]<class Word>(Word own, size_t at) {
    Word other;
    std::memcpy(&own, a.data() + at, sizeof own);
    std::memcpy(&other, b.data() + at, sizeof other);
    return own != other;
  };
  auto ends_differ = [&]<class Word>(Word word) { return differs(word, 0) || differs(word, size - sizeof word); };
  if (size > 16) return a == b;
  if (size >= 8) return !ends_differ(uint64_t{});
  if (size >= 4) return !ends_differ(uint32_t{});
  if (size >= 2) return !ends_differ(uint16_t{});
  return size == 0 || a[0] == b[0];
}
bool equal_nocase(std::string_view a, std::string_view b);
bool starts_with_nocase(std::string_view text, std::string_view prefix);
bool ends_with_nocase(std::string_view text, std::string_view suffix);
// The first place of `wanted` in `text`, from `from` on, ASCII case ignored; npos if there is none. An empty `wanted` is found at once.
size_t find_nocase(std::string_view text, std::string_view wanted, size_t from = 0);
// Writes text.size() bytes at `to`; `to` may be text.data(). Gives the end.
char* lower_into(char* to, std::string_view text);

// Without spaces and tabs at the ends.
std::string_view trim_front(std::string_view text);
std::string_view trim_back(std::string_view text);
std::string_view trim(std::string_view text);

// Walks over the parts of a text. "a,,b" has three parts; an empty text has one, which is empty. Splitter(value, ',').trimmed() is the
// list syntax of HTTP except for quoted strings.
class Splitter {
 public:
  Splitter(std::string_view text, char separator) : rest_(text), separator_(separator) {}
  // Parts come without blanks at their ends, and those then empty are left out.
  Splitter& trimmed() {
    trimmed_ = true;
    return *this;
  }
  // False when there is no further part; `part` is then untouched.
  bool next(std::string_view& part);

 private:
  std::string_view rest_;
  char separator_;
  bool trimmed_ = false;
  bool done_ = false;
};

// Digits only, at least one, nothing around them; nothing on overflow.
std::optional<uint64_t> parse_decimal(std::string_view text);
// The same after an optional '-' (no '+').
std::optional<int64_t> parse_signed(std::string_view text);
// 1 to 16 hex digits of either case (leading zeros count), no prefix.
std::optional<uint64_t> parse_hex(std::string_view text);

enum class SizeUnits : uint8_t { up_to_mega, up_to_giga };
// "512", "8k", "1m", "1g" with a unit of either case, in bytes; at most 2^63-1. Buffer sizes and rates take units up to m, file offsets
// and body sizes up to g.
std::optional<uint64_t> parse_size(std::string_view text, SizeUnits units = SizeUnits::up_to_giga);

enum class TimeGrain : uint8_t { milliseconds, seconds };
// The configuration's time grammar: "30" (seconds), "500ms", "1h30m", "1d 12h". Units y M w d h m s ms in this order, each once, blanks
// between; a number without a unit is seconds. A year has 365 days, a month 30. As in nginx, a directive with a grain of milliseconds
// takes no y and M, one with a grain of seconds no ms. The result is in milliseconds in either case.
std::optional<uint64_t> parse_time_ms(std::string_view text, TimeGrain grain = TimeGrain::milliseconds);

}  // namespace fairlead
