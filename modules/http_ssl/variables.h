// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The $ssl_* variables of http. Private to this folder.
#pragma once

#include "core/conf/variable.h"

namespace fairlead::http_ssl {

constexpr size_t variable_count = 32;
extern const VariableDef variables[variable_count];

}  // namespace fairlead::http_ssl
