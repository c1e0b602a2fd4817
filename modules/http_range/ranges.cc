// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_range/ranges.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"

namespace fairlead::http_range {

static std::string_view strip_spaces(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// One range-spec cut to the length; empty if it lies behind the end. Nothing: malformed.
static std::optional<Range> parse_range(std::string_view text, uint64_t length) {
  size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  std::string_view first = strip_spaces(text.substr(0, dash)), last = strip_spaces(text.substr(dash + 1));
  if (first.empty()) {
    auto suffix = parse_decimal(last);
    if (!suffix) return std::nullopt;
    return Range{length - std::min(*suffix, length), length};
  }
  auto begin = parse_decimal(first);
  if (!begin) return std::nullopt;
  if (last.empty()) return Range{*begin, length};
  auto end = parse_decimal(last);
  if (!end) return std::nullopt;
  return Range{*begin, *end >= length ? length : *end + 1};
}

Outcome parse_ranges(std::string_view text, uint64_t length, uint64_t most, std::vector<Range>& ranges) {
  uint64_t bytes = 0;
  Splitter parts(text, ',');
  std::string_view part;
  while (parts.next(part)) {
    auto range = parse_range(part, length);
    if (!range) return Outcome::unsatisfiable;
    if (range->begin >= range->end) {
      if (range->begin == 0) return Outcome::whole;
      continue;
    }
    if (ranges.size() == most) return Outcome::whole;
    bytes += range->end - range->begin;
    if (bytes > length) return Outcome::whole;
    ranges.push_back(*range);
  }
  return ranges.empty() ? Outcome::unsatisfiable : Outcome::ok;
}

}  // namespace fairlead::http_range
