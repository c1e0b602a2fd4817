// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// When $1 to $9 are escaped again. The path they come from is decoded; what becomes of it in a query, a redirect or a variable must not
// mean something else than what the client wrote. Users of nginx rely on which texts are escaped and which are not.
#pragma once

#include <string>
#include <string_view>

#include "core/conf/template.h"
#include "http/request/request.h"

namespace fairlead {

// Appends a capture; with `quote` it is escaped as an argument if the client had escaped anything in the path.
void append_capture(http::Request& request, uint32_t group, bool quote, std::string& to);

// A text of the script (`set`, operands of conditions). Its captures are escaped up to the first rewrite that matches in the same run.
std::string_view evaluate_in_script(http::Request& request, const Template& text);

}  // namespace fairlead
