// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/percent.h"

#include <algorithm>

#include "core/base/text.h"

namespace fairlead {

std::optional<uint32_t> parse_percent(std::string_view text) {
  if (text.size() < 2 || text.back() != '%') return std::nullopt;
  text.remove_suffix(1);
  size_t point = std::min(text.find('.'), text.size());
  std::string_view before = text.substr(0, point);
  std::string_view after = point < text.size() ? text.substr(point + 1) : std::string_view();
  if (after.size() > 2 || (before.empty() && after.empty())) return std::nullopt;
  std::optional<uint64_t> percent = before.empty() ? 0 : parse_decimal(before);
  std::optional<uint64_t> hundredths = after.empty() ? 0 : parse_decimal(after);
  if (!percent || !hundredths || *percent > whole_percent) return std::nullopt;
  uint64_t sum = *percent * 100 + *hundredths * (after.size() == 1 ? 10 : 1);
  if (sum == 0) return std::nullopt;
  return static_cast<uint32_t>(sum);
}

}  // namespace fairlead
