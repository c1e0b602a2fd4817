// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Where ./configure put things, as a run sees them: relative if below the prefix, since that moves with -p.
#pragma once

#include "build_config.h"

namespace fairlead::places {

inline constexpr std::string_view client_body_temp = build_config::below_prefix(build_config::client_body_temp_path);
inline constexpr std::string_view proxy_temp = build_config::below_prefix(build_config::proxy_temp_path);

}  // namespace fairlead::places
