// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Directives and variables of nginx that are left out on purpose, each with its reason: for the error that meets them and for the
// reference. A name that ends in * stands for all that begin so.
#pragma once

#include <span>
#include <string_view>

namespace fairlead {

struct LeftOut {
  std::string_view name;
  std::string_view reason;
};

std::span<const LeftOut> left_out_directives();
std::span<const LeftOut> left_out_variables();
// Why it is not there; empty: it is none of them.
std::string_view why_left_out(std::string_view name);
std::string_view why_variable_left_out(std::string_view name);

}  // namespace fairlead
