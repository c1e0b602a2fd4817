// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The media type of a URI by its extension: `types` and `default_type`.
#pragma once

#include <string_view>

namespace fairlead::http {

class Request;

// By the extension of request.uri. Empty if `default_type` is.
std::string_view content_type_of(Request& request);

}  // namespace fairlead::http
