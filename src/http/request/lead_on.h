// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Where a directive of the configuration leads a request on to: what error_page, try_files and internal_redirect name.
#pragma once

#include "http/request/request.h"
#include "http/request/verdict.h"

namespace fairlead::http {

// `target`: a named location with its '@', or a URI with or without arguments. `no_args`: what the arguments are if it has none; a null
// view leaves $args missing in the log, "" makes it empty. Views of `target` hold until the request's end.
inline Verdict lead_on(Request& request, std::string_view target, std::string_view no_args) {
  if (target.starts_with('@')) return Verdict::named(request.arena(), target);
  size_t mark = target.find('?');
  if (mark == std::string_view::npos) return Verdict::redirect(request.arena(), target, no_args);
  return Verdict::redirect(request.arena(), target.substr(0, mark), target.substr(mark + 1));
}

}  // namespace fairlead::http
