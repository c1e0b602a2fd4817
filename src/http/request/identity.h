// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// How the product names itself towards clients.
#pragma once

#include <string_view>

#include "core/base/version.h"
#include "http/conf/core_conf.h"

namespace fairlead::http {

constexpr std::string_view product_with_version = "fairlead/" FAIRLEAD_VERSION;
constexpr std::string_view product = "fairlead";
using fairlead::compatible_version;

constexpr std::string_view server_header(ServerTokens tokens) { return tokens == ServerTokens::off ? product : product_with_version; }

}  // namespace fairlead::http
