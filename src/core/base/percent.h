// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Shares of something, "12.5%" in a configuration, as hundredths of a percent.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fairlead {

constexpr uint32_t whole_percent = 10'000;  // 100%

// At most two decimals, more than nothing; may be more than the whole.
std::optional<uint32_t> parse_percent(std::string_view text);

}  // namespace fairlead
