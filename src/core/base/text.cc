// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/text.h"

#include <cstring>

namespace fairlead {
namespace {

constexpr uint64_t size_max = INT64_MAX;

// Largest unit first: a unit may only be followed by one further down. `end` is the blank after a bare number: only another bare number
// may come after it.
enum class TimeUnit : uint8_t { none, year, month, week, day, hour, minute, second, millisecond, end };

struct TimeScale {
  TimeUnit unit;
  uint64_t ms;
};

// The unit at `at`, which is moved behind it.
std::optional<TimeScale> take_time_unit(std::string_view text, size_t& at) {
  constexpr uint64_t day_ms = 86'400'000;
  switch (text[at++]) {
    case 'y': return TimeScale{TimeUnit::year, 365 * day_ms};
    case 'M': return TimeScale{TimeUnit::month, 30 * day_ms};
    case 'w': return TimeScale{TimeUnit::week, 7 * day_ms};
    case 'd': return TimeScale{TimeUnit::day, day_ms};
    case 'h': return TimeScale{TimeUnit::hour, 3'600'000};
    case 'm':
      if (at < text.size() && text[at] == 's') {
        ++at;
        return TimeScale{TimeUnit::millisecond, 1};
      }
      return TimeScale{TimeUnit::minute, 60'000};
    case 's': return TimeScale{TimeUnit::second, 1000};
    case ' ': return TimeScale{TimeUnit::end, 1000};
    default: return std::nullopt;
  }
}

bool unit_allowed(TimeUnit unit, TimeUnit before, TimeGrain grain) {
  if (grain == TimeGrain::seconds && unit == TimeUnit::millisecond) return false;
  if (grain == TimeGrain::milliseconds && unit <= TimeUnit::month) return false;
  if (unit == TimeUnit::end) return before < TimeUnit::second;
  return unit > before;
}

// total += value * scale, kept within 63 bits.
bool add_scaled(uint64_t& total, uint64_t value, uint64_t scale) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(value, scale, &product)) return false;
  return !__builtin_add_overflow(total, product, &total) && total <= size_max;
}

bool add_digit(uint64_t& value, char digit) {
  return !__builtin_mul_overflow(value, uint64_t{10}, &value) &&
         !__builtin_add_overflow(value, static_cast<uint64_t>(digit - '0'), &value);
}

}  // namespace

bool equal_nocase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool starts_with_nocase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equal_nocase(text.substr(0, prefix.size()), prefix);
}

bool ends_with_nocase(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && equal_nocase(text.substr(text.size() - suffix.size()), suffix);
}

size_t find_nocase(std::string_view text, std::string_view wanted, size_t from) {
  if (from > text.size() || text.size() - from < wanted.size()) return std::string_view::npos;
  if (wanted.empty()) return from;
  char first = lower(wanted[0]);
  for (size_t at = from; at + wanted.size() <= text.size(); ++at) {
    if (lower(text[at]) == first && equal_nocase(text.substr(at, wanted.size()), wanted)) return at;
  }
  return std::string_view::npos;
}

char* lower_into(char* to, std::string_view text) {
  for (char c : text) *to++ = lower(c);
  return to;
}

std::string_view trim_front(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view trim_back(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view trim(std::string_view text) { return trim_back(trim_front(text)); }

bool Splitter::next(std::string_view& part) {
  while (!done_) {
    size_t end = rest_.find(separator_);
    std::string_view found = rest_.substr(0, end);
    if (end == std::string_view::npos) done_ = true;
    else rest_.remove_prefix(end + 1);
    if (trimmed_) {
      found = trim(found);
      if (found.empty()) continue;
    }
    part = found;
    return true;
  }
  return false;
}

std::optional<uint64_t> parse_decimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (!is_digit(c) || !add_digit(value, c)) return std::nullopt;
  }
  return value;
}

std::optional<int64_t> parse_signed(std::string_view text) {
  bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  std::optional<uint64_t> value = parse_decimal(text);
  if (!value || *value > size_max + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<int64_t>(negative ? 0 - *value : *value);
}

std::optional<uint64_t> parse_hex(std::string_view text) {
  if (text.empty() || text.size() > 16) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    int digit = hex_value(c);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<uint64_t>(digit);
  }
  return value;
}

std::optional<uint64_t> parse_size(std::string_view text, SizeUnits units) {
  if (text.empty()) return std::nullopt;
  uint64_t scale = 1;
  switch (text.back()) {
    case 'k': case 'K': scale = uint64_t{1} << 10; break;
    case 'm': case 'M': scale = uint64_t{1} << 20; break;
    case 'g': case 'G':
      if (units == SizeUnits::up_to_mega) return std::nullopt;
      scale = uint64_t{1} << 30;
      break;
    default: break;
  }
  if (scale > 1) text.remove_suffix(1);
  std::optional<uint64_t> value = parse_decimal(text);
  uint64_t total = 0;
  if (!value || !add_scaled(total, *value, scale)) return std::nullopt;
  return total;
}

std::optional<uint64_t> parse_time_ms(std::string_view text, TimeGrain grain) {
  uint64_t total = 0, value = 0;
  bool any_digit = false;
  TimeUnit before = TimeUnit::none;
  for (size_t at = 0; at < text.size();) {
    if (is_digit(text[at])) {
      if (!add_digit(value, text[at++])) return std::nullopt;
      any_digit = true;
      continue;
    }
    std::optional<TimeScale> scale = take_time_unit(text, at);
    if (!scale || !unit_allowed(scale->unit, before, grain) || !add_scaled(total, value, scale->ms)) return std::nullopt;
    before = scale->unit;
    value = 0;
    while (at < text.size() && text[at] == ' ') ++at;
  }
  if (!any_digit || !add_scaled(total, value, 1000)) return std::nullopt;
  return total;
}

}  // namespace fairlead
