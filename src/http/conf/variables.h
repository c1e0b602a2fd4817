// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The variables of the http engine itself, one module record per source: the message, the connection, the upstream. Those that stream has,
// too, are in core/conf/session_vars.h. Also the searches that several of them share.
#pragma once

#include <string_view>

#include "core/conf/module.h"
#include "http/message/headers.h"

namespace fairlead::http {

extern const Module http_request_variables_module;
extern const Module http_connection_variables_module;
extern const Module http_upstream_variables_module;

// Whether names of fields are one to a variable, and to an upstream that reads them as CGI does: but for case and `-` or `_`.
bool is_same_variable(std::string_view a, std::string_view b);
// The first field whose name is that of a variable: lower case, with `_` in place of `-`. nullptr if there is none.
const Headers::Field* find_field(const Headers& headers, std::string_view variable_name);
// All values of such fields, joined as Headers::joined does; missing if there is none.
Value field_value(const Headers& headers, std::string_view variable_name);

// The value of an argument in a query string; names compare without case. Missing if there is no `name=`.
Value find_argument(std::string_view args, std::string_view name);

// The value of a cookie in the Cookie fields of a request.
Value find_cookie(const Headers& headers, std::string_view name);

}  // namespace fairlead::http
