// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_jwt/token.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <algorithm>

#include "core/base/encoding.h"

namespace fairlead::http::auth_jwt {
namespace {

using Family = Algorithm::Family;
using DigestState = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;
using EcdsaPair = std::unique_ptr<ECDSA_SIG, OpensslFree<ECDSA_SIG_free>>;

constexpr Algorithm algorithms[] = {
    {Family::hmac, "HS256", &EVP_sha256, KeyKind::secret},    {Family::hmac, "HS384", &EVP_sha384, KeyKind::secret},
    {Family::hmac, "HS512", &EVP_sha512, KeyKind::secret},    {Family::rsa, "RS256", &EVP_sha256, KeyKind::rsa},
    {Family::rsa, "RS384", &EVP_sha384, KeyKind::rsa},        {Family::rsa, "RS512", &EVP_sha512, KeyKind::rsa},
    {Family::rsa_pss, "PS256", &EVP_sha256, KeyKind::rsa},    {Family::rsa_pss, "PS384", &EVP_sha384, KeyKind::rsa},
    {Family::rsa_pss, "PS512", &EVP_sha512, KeyKind::rsa},    {Family::ecdsa, "ES256", &EVP_sha256, KeyKind::p256},
    {Family::ecdsa, "ES384", &EVP_sha384, KeyKind::p384},     {Family::ecdsa, "ES512", &EVP_sha512, KeyKind::p521},
    {Family::eddsa, "EdDSA", nullptr, KeyKind::ed25519},
};

const unsigned char* unsigned_bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

bool verify_hmac(const Token& token, const Key& key) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!HMAC(token.algorithm->digest(), key.secret.data(), static_cast<int>(key.secret.size()), unsigned_bytes(token.signing_input),
            token.signing_input.size(), mac, &size))
    return false;
  return token.signature.size() == size && CRYPTO_memcmp(mac, token.signature.data(), size) == 0;
}

// JWS has the two numbers side by side (RFC 7518 section 3.4), OpenSSL wants them in DER. Empty: they have not the length of the curve.
std::string ecdsa_der(std::string_view signature, const Key& key) {
  size_t half = (static_cast<size_t>(EVP_PKEY_get_bits(key.key.get())) + 7) / 8;
  if (signature.size() != 2 * half) return {};
  EcdsaPair pair(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(unsigned_bytes(signature), static_cast<int>(half), nullptr);
  BIGNUM* s = BN_bin2bn(unsigned_bytes(signature.substr(half)), static_cast<int>(half), nullptr);
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  int size = i2d_ECDSA_SIG(pair.get(), &der);
  std::string made(reinterpret_cast<char*>(der), size > 0 ? static_cast<size_t>(size) : 0);
  OPENSSL_free(der);
  return made;
}

bool verify_public(const Token& token, const Key& key) {
  std::string der;
  std::string_view signature = token.signature;
  if (token.algorithm->family == Family::ecdsa) signature = der = ecdsa_der(signature, key);
  DigestState state(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;  // the state's
  const EVP_MD* digest = token.algorithm->digest ? token.algorithm->digest() : nullptr;
  if (signature.empty() || !state || EVP_DigestVerifyInit(state.get(), &options, digest, nullptr, key.key.get()) != 1) return false;
  if (token.algorithm->family == Family::rsa_pss && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
                                                     EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1))
    return false;
  return EVP_DigestVerify(state.get(), unsigned_bytes(signature), signature.size(), unsigned_bytes(token.signing_input),
                          token.signing_input.size()) == 1;
}

std::optional<std::string> decode_part(std::string_view part) {
  if (part.find('=') != std::string_view::npos) return std::nullopt;  // RFC 7515 section 2: no padding
  return base64_decode(part, Base64::url);
}

}  // namespace

const Algorithm* find_algorithm(std::string_view name) {
  auto found = std::find_if(std::begin(algorithms), std::end(algorithms), [&](const Algorithm& one) { return one.name == name; });
  return found == std::end(algorithms) ? nullptr : found;
}

bool fits(const Algorithm& algorithm, const Key& key) {
  if (!key.verifies || (!key.algorithm.empty() && key.algorithm != algorithm.name)) return false;
  return key.kind == algorithm.kind || (algorithm.family == Family::eddsa && key.kind == KeyKind::ed448);
}

ConfResult<TokenPtr> parse_token(std::string_view text) {
  if (text.size() > token_bytes_max) return std::string("it is too long");
  size_t first = text.find('.');
  size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  bool has_three = second != std::string_view::npos && text.find('.', second + 1) == std::string_view::npos;
  if (!has_three) return std::string("it has not three parts");
  auto header = decode_part(text.substr(0, first));
  auto payload = decode_part(text.substr(first + 1, second - first - 1));
  auto signature = decode_part(text.substr(second + 1));
  if (!header || !payload || !signature) return std::string("a part is not base64url");
  auto token = std::make_shared<Token>();
  auto header_claims = Claims::parse(*header);
  if (!header_claims) return "header: " + header_claims.error();
  auto claims = Claims::parse(*payload);
  if (!claims) return "payload: " + claims.error();
  if (header_claims->has("crit")) return std::string("\"crit\" names extensions that are not known");  // RFC 7515 section 4.1.11
  token->algorithm = find_algorithm(header_claims->string("alg").value_or(std::string_view()));
  if (!token->algorithm) return std::string("\"alg\" is none that is accepted");
  token->signing_input = text.substr(0, second);
  token->signature = std::move(*signature);
  token->payload_text = std::move(*payload);
  token->header = std::move(*header_claims);
  token->payload = std::move(*claims);
  return TokenPtr(std::move(token));
}

Signature verify(const Token& token, std::span<const KeySetPtr> sets) {
  std::string_view wanted = token.header.string("kid").value_or(std::string_view());
  bool is_known = knows_key(sets, wanted);
  Signature answer = Signature::no_key;
  for (const KeySetPtr& set : sets) {
    for (const Key& key : set->keys) {
      if (!may_be_meant(key, wanted, is_known) || !fits(*token.algorithm, key)) continue;
      answer = Signature::bad;
      bool good = token.algorithm->family == Family::hmac ? verify_hmac(token, key) : verify_public(token, key);
      ERR_clear_error();
      if (good) return Signature::good;
    }
  }
  return answer;
}

std::string_view check_times(const Claims& payload, int64_t now, int64_t leeway) {
  auto seconds = static_cast<double>(now);
  auto slack = static_cast<double>(leeway);
  if (payload.has("exp")) {
    auto until = payload.number("exp");
    if (!until) return "\"exp\" is no number";
    if (seconds >= *until + slack) return "it has expired";
  }
  if (payload.has("nbf")) {
    auto from = payload.number("nbf");
    if (!from) return "\"nbf\" is no number";
    if (seconds + slack < *from) return "it is not valid yet";
  }
  return {};
}

}  // namespace fairlead::http::auth_jwt
