// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `zone=name:size` as directives write it.
#pragma once

#include <string_view>

#include "core/base/error.h"

namespace fairlead {

struct ZoneWord {
  std::string_view name;
  size_t bytes = 0;
};
// `text` is what stands behind `zone=`. The error is nginx's wording.
ConfResult<ZoneWord> parse_zone_word(std::string_view text);

}  // namespace fairlead
