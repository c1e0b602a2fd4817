// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Which software ours follows. Our own version is FAIRLEAD_VERSION, from the build.
#pragma once

#include <string_view>

namespace fairlead {

// Of the software whose configuration and behaviour ours follows; $nginx_version, `-V`.
constexpr std::string_view compatible_version = "1.31.4";

}  // namespace fairlead
