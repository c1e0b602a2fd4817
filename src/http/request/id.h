// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// $request_id: 32 hexadecimal digits that name one request of a client in logs and to upstreams. Its subrequests and detached copies have
// the same.
#pragma once

#include <string_view>

namespace fairlead::http {

class Request;

// Made when it is first asked for; lives as long as the client's request.
std::string_view request_id(Request& request);
// The id of another request, for a copy of that; before it is first asked for. The text lives as long as `request`.
void set_request_id(Request& request, std::string_view id);

}  // namespace fairlead::http
