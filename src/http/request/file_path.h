// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// From a URI to the path of a file: `root` and `alias`. Opens nothing.
#pragma once

#include <string_view>

namespace fairlead::http {

class Request;

// The file that `uri` (normalised, decoded) means in the request's location. Followed by a zero byte; in the request's arena.
std::string_view map_path(Request& request, std::string_view uri);

}  // namespace fairlead::http
