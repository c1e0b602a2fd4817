// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Which file a URI means: `root` and `alias` of the location. Opens nothing.
#pragma once

#include <string_view>

#include "http/request/request.h"

namespace fairlead::http {

// The path of `uri` below root or alias, absolute, in the request's arena; a zero byte follows it. In a regex location `alias` is the whole
// path, unless try_files has made it the folder. Empty, and logged, if there is none; `refusal` is then the status that a request for
// the file ends with: 500 if the location of an alias was left by a rewrite, 404 if the URI climbs out of the folder. A client's own URI
// has no ".." left, but one that follows an alias may begin with it (location /a, alias /b/, URI /a../c), and texts of the configuration
// can bring one in.
std::string_view map_path(Request& request, std::string_view uri, unsigned* refusal = nullptr);

// The same path for a text that only shows it: a URI that climbs out has none, and nobody tried to go there.
std::string_view shown_path(Request& request, std::string_view uri);

// Whether the path has a segment ".." behind a slash.
bool climbs(std::string_view path);

// `root` or `alias` alone, evaluated and absolute: what $document_root says. Not zero-terminated.
std::string_view root_path(Request& request);

}  // namespace fairlead::http
