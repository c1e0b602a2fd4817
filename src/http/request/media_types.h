// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// MediaTypes: which responses a filter is for, as `gzip_types` and its like name them.
#pragma once

#include <string_view>
#include <vector>

#include "core/conf/line.h"
#include "http/request/request.h"

namespace fairlead::http {

struct MediaTypes {
  std::vector<std::string_view> types;  // lower case, beside text/html
  bool any = false;                     // "*"
  bool hold(std::string_view media_type) const;
};

// The words of the lines of a block, in place of the defaults; a double one is warned about, as in nginx.
ConfResult<Unit> add_media_types(Line& line, MediaTypes& to);

// Of a response as a filter sees it, without parameters.
std::string_view media_type_of(const Response& response);

}  // namespace fairlead::http
