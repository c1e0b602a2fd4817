// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The beginning of a request's body, for whoever judges the request by it. The body itself is read whole and kept for the upstream.
#pragma once

#include "core/base/buffer.h"
#include "core/conf/value.h"
#include "http/request/request.h"

namespace fairlead::http {

// How much of it is wanted, and what a longer one means.
struct BodyShare {
  uint64_t bytes_max = 0;  // 0: none of it
  bool partial = false;    // of a longer body the beginning; else that is a 413
};

struct BodyBeginning {
  Chain bytes;
  bool is_cut = false;  // there is more
};

// next(): `beginning` has what is wanted. Else the status that the request ends with: the body is too long, cut short, or could not be
// kept.
Task<Verdict> read_beginning(Request& request, const BodyShare& share, BodyBeginning& beginning);

}  // namespace fairlead::http

namespace fairlead {

template <>
struct ConfValue<http::BodyShare> {
  static constexpr WordCount words{1, 2};
  static constexpr std::string_view type = "size [partial]";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::BodyShare& field);
};

}  // namespace fairlead
