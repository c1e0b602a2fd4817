// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_slice/content_range.h"

#include "core/base/text.h"

namespace fairlead::http_slice {

std::optional<ContentRange> parse_content_range(std::string_view value) {
  constexpr std::string_view unit = "bytes ";
  if (!starts_with_nocase(value, unit)) return std::nullopt;
  value = trim(value.substr(unit.size()));
  size_t dash = value.find('-'), slash = value.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  auto first = parse_decimal(trim(value.substr(0, dash)));
  auto last = parse_decimal(trim(value.substr(dash + 1, slash - dash - 1)));
  auto length = parse_decimal(trim(value.substr(slash + 1)));
  constexpr uint64_t most = INT64_MAX;
  if (!first || !last || !length || *length > most || *last >= *length || *first > *last) return std::nullopt;
  return ContentRange{*first, *last + 1, *length};
}

uint64_t range_start(std::string_view value) {
  constexpr std::string_view unit = "bytes=";
  if (!starts_with_nocase(value, unit) || value.find(',') != std::string_view::npos) return 0;
  value = trim(value.substr(unit.size()));
  uint64_t start = parse_decimal(trim(value.substr(0, value.find('-')))).value_or(0);
  return start < INT64_MAX ? start : 0;  // no file has so many bytes: what there is of it says the first slice
}

}  // namespace fairlead::http_slice
