// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// That a response goes out without a Date, as a script took it away. A slot of the request.
#pragma once

#include "http/request/request.h"

namespace fairlead::http {

struct UnsaidDate {
  bool is_unsaid = false;

  static bool of(Request& request) {
    const UnsaidDate* known = request.find_slot<UnsaidDate>();
    return known && known->is_unsaid;
  }
  // Of the next response it is said again.
  static void forget(Request& request) {
    if (UnsaidDate* known = request.find_slot<UnsaidDate>()) known->is_unsaid = false;
  }
};

}  // namespace fairlead::http
