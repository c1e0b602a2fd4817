// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The token that a request came in with, and what it says as variables: a verified one or none, for
// values that were computed from a claim (`map`) are kept, and may become the reason to let
// somebody in or what an upstream is told. Only its keys may be chosen by what it claims before
// that is verified. Private to this folder.
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

// From now on variables of the request, and of its subrequests, are this token's, which is
// verified. Views of its texts hold until the request's end.
void keep_token(Request& request, TokenPtr token);

// While one lives, a signed token's claims are there unverified: the keys that it is verified with
// may depend on who says to have signed it.
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
