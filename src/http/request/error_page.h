// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a request ends with that did not get its own response: `error_page`, or the built-in page of a status.
#pragma once

#include <optional>

#include "http/request/request.h"

namespace fairlead::http {

// The error_page of the location for `status`, taken: the verdict that leads to it (a redirect, a named location, or a status with a
// Location). Nothing if there is none, or one is in work already.
std::optional<Verdict> take_error_page(Request& request, unsigned status);

// Fills the response with the built-in page.
void set_built_in_page(Request& request, unsigned status);
// Or with nothing: the status and the fields that there are say all.
void set_status_alone(Request& request, unsigned status);

}  // namespace fairlead::http
