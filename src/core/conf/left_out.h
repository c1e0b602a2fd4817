// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Directives of nginx that are left out on purpose, each with its reason: for the error that meets them and for the reference.
#pragma once

#include <span>
#include <string_view>

namespace fairlead {

struct LeftOut {
  std::string_view name;
  std::string_view reason;
};

std::span<const LeftOut> left_out_directives();
// Why `name` is not there; empty: it is no such directive.
std::string_view why_left_out(std::string_view name);

}  // namespace fairlead
