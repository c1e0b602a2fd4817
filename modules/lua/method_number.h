// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.HTTP_GET and the like: the numbers by which scripts name methods. Pure.
#pragma once

#include <iterator>
#include <optional>

#include "http/message/method.h"

namespace fairlead::lua {

// Powers of two in this order, from 2 on.
constexpr http::Method numbered_methods[] = {
    http::Method::get,      http::Method::head,      http::Method::post, http::Method::put,    http::Method::delete_,
    http::Method::mkcol,    http::Method::copy,      http::Method::move, http::Method::options, http::Method::propfind,
    http::Method::proppatch, http::Method::lock,     http::Method::unlock, http::Method::patch, http::Method::trace};

constexpr std::optional<http::Method> method_of_number(int number) {
  for (size_t i = 0; i < std::size(numbered_methods); ++i)
    if (number == 2 << i) return numbered_methods[i];
  return std::nullopt;
}

}  // namespace fairlead::lua
