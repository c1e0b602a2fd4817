// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The request's body as scripts see it once it was read.
#pragma once

#include <string_view>

namespace fairlead::http { class Request; }

namespace fairlead::lua {

// The body that was read, as one text in the request's arena or its buffers. False: part of it is in a file.
bool body_in_memory(http::Request& request, std::string_view& text);

}  // namespace fairlead::lua
