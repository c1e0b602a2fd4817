// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Which file a URI means: `root` and `alias` of the location. Opens nothing.
#pragma once

#include <string_view>

#include "http/request/request.h"

namespace fairlead::http {

// The path of `uri` below root or alias, absolute, in the request's arena; a zero byte follows it. Empty if an alias cannot be used, as
// its location was left by a rewrite: that is logged, and a 500. In a regex location `alias` is the whole path, unless try_files has
// made it the folder.
std::string_view map_path(Request& request, std::string_view uri);

// `root` or `alias` alone, evaluated and absolute: what $document_root says. Not zero-terminated.
std::string_view root_path(Request& request);

}  // namespace fairlead::http
