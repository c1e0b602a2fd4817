// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Variables that show fields of a request's head are kept at their first use. Whoever edits a field of the head says so here.
#pragma once

#include <string_view>

namespace fairlead::http {

class Request;

// What was read from fields of that name before is read anew at the next use: $http_NAME, and what else shows them ($host, $content_type,
// $content_length, $remote_user, $cookie_NAME). What was computed from these (a map, a `set`) keeps its value.
void forget_field(Request& request, std::string_view name);

}  // namespace fairlead::http
