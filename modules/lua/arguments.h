// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Percent-encoding as scripts know it. Pure.
#pragma once

#include <string>
#include <string_view>

namespace fairlead::lua {

// All bytes but letters, digits and -_.~!'()* as %XX.
void append_component(std::string& to, std::string_view text);

}  // namespace fairlead::lua
