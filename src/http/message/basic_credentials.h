// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The credentials of the Basic scheme (RFC 7617), out of an Authorization field. A pure function.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fairlead::http {

struct BasicCredentials {
  std::string user, password;
};

// Nothing: the field has another scheme, is not base64, or names nobody. What stands behind the padding does not count, as in nginx.
std::optional<BasicCredentials> parse_basic_credentials(std::string_view field);

}  // namespace fairlead::http
