// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Directives and variables of nginx and its usual modules that are not there, for the error that meets them and for the reference: those
// left out on purpose, each with its reason (a name that ends in * stands for all that begin so), and those of areas that are not built.
// Of either a module may take a few, where they change nothing (modules/without_effect.cc).
#pragma once

#include <span>
#include <string>
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

// An area all of whose directives are unknown. Those of `word` alone, or of names that begin with it if it ends in '_'.
struct UnbuiltArea {
  std::string_view word;
  std::string_view area;
};

std::span<const UnbuiltArea> unbuilt_areas();
// The area that `name` would belong to; empty: none of these.
std::string_view unbuilt_area_of(std::string_view name);

// Of a directive of either list, in the words of the error; empty: of neither.
std::string why_not_there(std::string_view name);

}  // namespace fairlead
