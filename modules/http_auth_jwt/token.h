// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A signed JSON Web Token (RFC 7519, RFC 7515 compact form): its parts, its signature, its times. No state, no event loop. Private to
// this folder.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "modules/http_auth_jwt/claims.h"
#include "modules/http_auth_jwt/jwk.h"

namespace fairlead::http::auth_jwt {

// A longer token is refused unread.
constexpr size_t token_bytes_max = 64 * 1024;

struct Algorithm {
  enum class Family : uint8_t { hmac, rsa, rsa_pss, ecdsa, eddsa } family;
  std::string_view name;
  const EVP_MD* (*digest)();  // nullptr: the signature has its own
  KeyKind kind;               // of the keys; eddsa: either of the two
};
// nullptr: we have no such algorithm, "none" included.
const Algorithm* find_algorithm(std::string_view name);
// A key of another kind never is tried: what it is decides, not what the token says of itself (RFC 8725 section 3.1).
bool fits(const Algorithm& algorithm, const Key& key);

struct Token {
  std::string signing_input;  // the first two parts as they came
  std::string signature;
  std::string payload_text;
  Claims header, payload;
  const Algorithm* algorithm = nullptr;  // of a signed one
};
using TokenPtr = std::shared_ptr<const Token>;

// The parts, nothing of them verified. The error is a reason.
ConfResult<TokenPtr> parse_token(std::string_view text);

// Whether one of the keys has made the signature. If the token names a key, only keys of that name, or else those without any, are tried.
enum class Signature : uint8_t { good, bad, no_key };
Signature verify(const Token& token, std::span<const KeySetPtr> sets);

// Empty if `now`, in seconds since 1970, lies between "nbf" and "exp", where those are there; else the reason why the token does not hold.
std::string_view check_times(const Claims& payload, int64_t now, int64_t leeway);

}  // namespace fairlead::http::auth_jwt
