// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A found file as the response: for whatever serves files.
#pragma once

#include <string_view>

#include "http/request/found_file.h"

namespace fairlead::http {

// 200, the length, the type by the URI's extension, Last-Modified, ETag and the bytes. Ranges are allowed. `found` was opened
// (FileWish::open); `path` for the log.
void respond_with_file(Request& request, const OpenedFile& found, std::string_view path);

}  // namespace fairlead::http
