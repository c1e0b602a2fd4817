// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The token that a request came in with, and what it says as variables. Until the access phase begins that is what a signed token claims,
// verified or not, so that limits and the like can go by it. From then on, when variables become the reason to let somebody in or what an
// upstream is told, it is a verified one or none. Private to this folder.
#pragma once

#include <array>
#include <string_view>

#include "core/conf/line.h"
#include "core/conf/variable.h"
#include "http/request/request.h"
#include "modules/http_auth_jwt/conf.h"
#include "modules/http_auth_jwt/token.h"

namespace fairlead::http::auth_jwt {

// The request's token as it came; empty: it has none.
std::string_view token_text(Request& request, const AuthJwtConf& own);

// From now on variables of the request, and of its subrequests, are this token's, which is verified. Views of its texts hold until the
// request's end.
void keep_token(Request& request, TokenPtr token);

// The access phase begins: from now on what is not verified claims nothing.
void end_claims(Request& request);

// While one lives, claims are there once more: the keys that a token is verified with may depend on who says to have signed it.
class [[nodiscard]] ClaimsForKeys {
 public:
  explicit ClaimsForKeys(Request& request);
  ~ClaimsForKeys();
  ClaimsForKeys(const ClaimsForKeys&) = delete;
  ClaimsForKeys& operator=(const ClaimsForKeys&) = delete;

 private:
  Request& request_;
};

// auth_jwt_claim_set, auth_jwt_header_set: defines a variable of this name, for what lies at the path.
ConfResult<Unit> define_claim(Line& line, bool of_header);

extern const std::array<VariableDef, 3> variables;

}  // namespace fairlead::http::auth_jwt
