// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Where ranges are cut from a response's body: Response::body as a whole, unless a script's filter lies over it, which then sees the part
// that is sent, as in nginx. A slot of the request.
#pragma once

#include "http/request/request.h"

namespace fairlead::http {

struct UncutBody {
  Body** below_script = nullptr;  // what the filter reads; set with the filter, forgotten with the response

  // The body to be cut, or to be replaced by its parts.
  static Body*& of(Request& request) {
    const UncutBody* known = request.find_slot<UncutBody>();
    return known && known->below_script ? *known->below_script : request.response.body;
  }
};

}  // namespace fairlead::http
