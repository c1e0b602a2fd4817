// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// An encrypted JSON Web Token (RFC 7516, compact form) made readable. No state, no event loop. Private to this folder.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "modules/http_auth_jwt/claims.h"
#include "modules/http_auth_jwt/jwk.h"

namespace fairlead::http::auth_jwt {

struct Decrypted {
  Claims header;
  std::string text;
};

// With one of the keys that may decrypt: secrets for "dir", A128KW to A256KW and A128GCMKW to A256GCMKW, private RSA keys for RSA-OAEP and
// RSA-OAEP-256. Compressed tokens are refused. The error is a reason; it does not tell at which step decrypting failed.
ConfResult<Decrypted> decrypt_token(std::string_view text, std::span<const KeySetPtr> sets);

}  // namespace fairlead::http::auth_jwt
