// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The token that a request came in with, and what it says as variables. Private to this folder.
#pragma once

#include <array>
#include <string_view>

#include "core/conf/line.h"
#include "core/conf/variable.h"
#include "http/request/request.h"
#include "modules/http_auth_jwt/token.h"

namespace fairlead::http::auth_jwt {

// From now on variables of the request, and of its subrequests, are this token's. Views of its texts hold until the request's end.
void keep_token(Request& request, TokenPtr token);

// auth_jwt_claim_set, auth_jwt_header_set: defines a variable of this name, for what lies at the path.
ConfResult<Unit> define_claim(Line& line, bool of_header);

extern const std::array<VariableDef, 3> variables;

}  // namespace fairlead::http::auth_jwt
