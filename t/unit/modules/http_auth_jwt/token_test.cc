// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Parts, times and signatures of tokens; the vectors are those of RFC 7515 appendix A and RFC 8037 appendix A.
#include "modules/http_auth_jwt/token.h"

#include <gtest/gtest.h>

#include "core/base/encoding.h"
#include "modules/http_auth_jwt/token_cache.h"

namespace fairlead::http::auth_jwt {
namespace {

// RFC 7515 A.1
constexpr std::string_view hs256_key =
    R"({"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]})";
constexpr std::string_view hs256_token =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
// RFC 7515 A.3
constexpr std::string_view es256_key =
    R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";
constexpr std::string_view es256_token =
    "eyJhbGciOiJFUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

TokenPtr token(std::string_view text) {
  auto parsed = parse_token(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : nullptr;
}

KeySetPtr keys(std::string_view text) {
  auto parsed = parse_key_set(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error());
  return parsed ? *parsed : nullptr;
}

Signature verify_with(std::string_view token_text, std::string_view keys_text) {
  KeySetPtr sets[] = {keys(keys_text)};
  return verify(*token(token_text), sets);
}

std::string made(std::string_view header, std::string_view payload) {
  return base64(header, Base64::url) + "." + base64(payload, Base64::url) + "." + base64("x", Base64::url);
}

std::string reason(std::string_view text) {
  auto parsed = parse_token(text);
  return parsed ? std::string() : parsed.error();
}

TEST(JwtToken, VectorsOfTheStandards) {
  EXPECT_EQ(verify_with(hs256_token, hs256_key), Signature::good);
  EXPECT_EQ(verify_with(es256_token, es256_key), Signature::good);
  EXPECT_EQ(verify_with(hs256_token, es256_key), Signature::no_key);
  EXPECT_EQ(verify_with(es256_token, hs256_key), Signature::no_key);
  std::string changed(hs256_token);
  changed.back() = 'A';
  EXPECT_EQ(verify_with(changed, hs256_key), Signature::bad);
  EXPECT_EQ(token(hs256_token)->payload.string("iss"), "joe");
}

TEST(JwtToken, WhatIsNone) {
  EXPECT_EQ(reason(""), "it has not three parts");
  EXPECT_EQ(reason("a.b"), "it has not three parts");
  EXPECT_EQ(reason("a.b.c.d"), "it has not three parts");
  EXPECT_EQ(reason("a.b.!"), "a part is not base64url");
  EXPECT_EQ(reason("e30=.e30.e30"), "a part is not base64url");
  EXPECT_EQ(reason("e30.e30.AA"), "\"alg\" is none that is accepted");
  EXPECT_EQ(reason(made("x", "{}")), "header: it is not JSON");
  EXPECT_EQ(reason(made(R"({"alg":"HS256"})", "[]")), "payload: it is not a JSON object");
  EXPECT_EQ(reason(made(R"({"alg":"none"})", "{}")), "\"alg\" is none that is accepted");
  EXPECT_EQ(reason(made(R"({"alg":"HS256","crit":[]})", "{}")), "\"crit\" names extensions that are not known");
  EXPECT_EQ(reason(std::string(token_bytes_max + 1, '.')), "it is too long");
  EXPECT_EQ(reason(made(R"({"alg":"HS256"})", R"({"a":)" + std::string(50, '[') + std::string(50, ']') + "}")),
            "payload: it nests too deeply");
}

TEST(JwtToken, AKeyFitsByItsKind) {
  Key rsa{KeyKind::rsa, "", "", "", nullptr, true};
  EXPECT_TRUE(fits(*find_algorithm("RS256"), rsa));
  EXPECT_TRUE(fits(*find_algorithm("PS512"), rsa));
  EXPECT_FALSE(fits(*find_algorithm("HS256"), rsa));
  EXPECT_FALSE(fits(*find_algorithm("ES256"), rsa));
  rsa.algorithm = "RS256";
  EXPECT_TRUE(fits(*find_algorithm("RS256"), rsa));
  EXPECT_FALSE(fits(*find_algorithm("PS256"), rsa));
  Key p384{KeyKind::p384, "", "", "", nullptr, true};
  EXPECT_FALSE(fits(*find_algorithm("ES256"), p384));
  EXPECT_TRUE(fits(*find_algorithm("ES384"), p384));
  EXPECT_TRUE(fits(*find_algorithm("EdDSA"), Key{KeyKind::ed448, "", "", "", nullptr, true}));
  EXPECT_FALSE(fits(*find_algorithm("EdDSA"), Key{KeyKind::ed448, "", "", "", nullptr, false, true})) << "it is for decrypting";
  EXPECT_EQ(find_algorithm("none"), nullptr);
  EXPECT_EQ(find_algorithm(""), nullptr);
}

std::string_view times(std::string_view payload, int64_t now, int64_t leeway = 0) {
  auto claims = Claims::parse(payload);
  EXPECT_TRUE(claims);
  return check_times(*claims, now, leeway);
}

TEST(JwtToken, Times) {
  EXPECT_EQ(times("{}", 100), "");
  EXPECT_EQ(times(R"({"exp":101})", 100), "");
  EXPECT_EQ(times(R"({"exp":100})", 100), "it has expired");
  EXPECT_EQ(times(R"({"exp":100})", 104, 5), "");
  EXPECT_EQ(times(R"({"exp":100})", 105, 5), "it has expired");
  EXPECT_EQ(times(R"({"exp":100.5})", 100), "");
  EXPECT_EQ(times(R"({"nbf":100})", 100), "");
  EXPECT_EQ(times(R"({"nbf":101})", 100), "it is not valid yet");
  EXPECT_EQ(times(R"({"nbf":101})", 100, 1), "");
  EXPECT_EQ(times(R"({"exp":"200"})", 100), "\"exp\" is no number");
  EXPECT_EQ(times(R"({"nbf":null})", 100), "\"nbf\" is no number");
  EXPECT_EQ(times(R"({"exp":1e308})", 100), "");
  EXPECT_EQ(times(R"({"exp":-1e308})", 100), "it has expired");
}

TEST(JwtKeys, WhatIsLeftOut) {
  EXPECT_EQ(parse_key_set("").error(), "it is not JSON");
  EXPECT_EQ(parse_key_set("[]").error(), "it has no array \"keys\"");
  EXPECT_EQ(parse_key_set(R"({"keys":1})").error(), "it has no array \"keys\"");
  EXPECT_EQ(parse_key_set(R"({"keys":[]})").error(), "it has no key");
  EXPECT_EQ(parse_key_set(R"({"keys":[1]})").error(), "it has no key that can be used: a key is no JSON object");
  EXPECT_EQ(parse_key_set(R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]})").error(),
            "it has no key that can be used: the RSA key has 17 bits");
  EXPECT_EQ(parse_key_set(R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQAB"}]})").error(),
            "it has no key that can be used: \"x\" is not a public key of the curve");
  KeySetPtr set = keys(R"({"keys":[{"kty":"oct","k":""},{"kty":"oct","k":"AA","kid":"a"},{"kty":"oct","k":"AA","use":"tls"}]})");
  ASSERT_EQ(set->keys.size(), 1u);
  EXPECT_EQ(set->left_out, 2u);
  std::string many = R"({"keys":[)";
  for (size_t i = 0; i <= keys_max; ++i) many += i ? ",{}" : "{}";
  EXPECT_EQ(parse_key_set(many + "]}").error(), "it has more than 256 keys");
}

std::string text(const Claims& claims, std::initializer_list<std::string_view> path) {
  return claims.text(std::span(path.begin(), path.size())).value_or("(none)");
}

TEST(JwtClaims, AsTexts) {
  auto claims = Claims::parse(R"({"s":"a\n","n":1.5,"i":-7,"b":false,"z":null,)"
                              R"("a":[1,"x",[2],{"y":3}],"o":{"p":{"q":"r"}},"MiXed":"m","e":[]})");
  ASSERT_TRUE(claims);
  EXPECT_EQ(text(*claims, {"s"}), "a\n");
  EXPECT_EQ(text(*claims, {"n"}), "1.5");
  EXPECT_EQ(text(*claims, {"i"}), "-7");
  EXPECT_EQ(text(*claims, {"b"}), "false");
  EXPECT_EQ(text(*claims, {"z"}), "(none)");
  EXPECT_EQ(text(*claims, {"a"}), R"(1,x,[2],{"y":3})");
  EXPECT_EQ(text(*claims, {"e"}), "");
  EXPECT_EQ(text(*claims, {"o", "p", "q"}), "r");
  EXPECT_EQ(text(*claims, {"o", "p"}), R"({"q":"r"})");
  EXPECT_EQ(text(*claims, {"o", "x", "q"}), "(none)");
  EXPECT_EQ(text(*claims, {"s", "x"}), "(none)");
  EXPECT_EQ(text(*claims, {"mixed"}), "m");
  EXPECT_EQ(text(Claims(), {"s"}), "(none)");
}

TEST(JwtClaims, DepthLooksOutsideStrings) {
  EXPECT_EQ(json_depth(R"({"a":"[[[\"[["})"), 1);
  EXPECT_EQ(json_depth("[[],[[]]]"), 3);
  EXPECT_EQ(json_depth("]][["), 0);
}

TEST(JwtCache, KeepsTheLastUsedOfTheirSets) {
  TokenCache cache(2);
  KeySetPtr one[] = {keys(hs256_key)}, other[] = {keys(hs256_key)};
  TokenPtr known = token(hs256_token);
  cache.add("a", one, known);
  cache.add("b", one, known);
  EXPECT_EQ(cache.find("a", one), known);
  EXPECT_EQ(cache.find("a", other), nullptr);
  cache.add("c", one, known);  // "b" was unused for longest
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.find("b", one), nullptr);
  EXPECT_EQ(cache.find("a", one), known);
  cache.add("a", other, known);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.find("a", one), nullptr);
  EXPECT_EQ(cache.find("a", other), known);
  cache.add(std::string(cached_token_bytes_max + 1, 'x'), one, known);
  EXPECT_EQ(cache.size(), 2u);
  TokenCache none(0);
  none.add("a", one, known);
  EXPECT_EQ(none.find("a", one), nullptr);
}

}  // namespace
}  // namespace fairlead::http::auth_jwt
