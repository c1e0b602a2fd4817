// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_auth_jwt: requests come in with a signed JSON Web Token (RFC 7519, RFC 6750), checked against the keys of files and locations.
// What is private to the wire formats is in jwk.h and token.h; where keys come from, in key_store.h.
#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "event/worker.h"
#include "http/hooks.h"
#include "http/request/audit.h"
#include "http/request/response.h"
#include "modules/http_auth_jwt/conf.h"
#include "modules/http_auth_jwt/jwe.h"
#include "modules/http_auth_jwt/key_store.h"
#include "modules/http_auth_jwt/token_cache.h"
#include "modules/http_auth_jwt/variables.h"

namespace fairlead::http::auth_jwt {
namespace {

constexpr std::string_view check_name = "auth_jwt";

// Of a worker.
class Tokens {
 public:
  explicit Tokens(Worker& worker) : Tokens(conf<AuthJwtConf>(worker.generation().root()).cached_tokens_max) {}
  // A token that is good as one type is not as another.
  TokenCache& of(TokenType type) { return type == TokenType::signed_only ? signed_ : type == TokenType::nested ? nested_ : encrypted_; }

 private:
  explicit Tokens(size_t tokens_max) : signed_(tokens_max), encrypted_(tokens_max), nested_(tokens_max) {}
  TokenCache signed_, encrypted_, nested_;
};

bool is_wanted(const Block& block) { return conf<AuthJwtConf>(block).may_ask(); }

// RFC 6750 section 3: without credentials there is no error code.
Verdict challenge(Request& request, std::string_view realm, bool had_token) {
  std::string field = format("Bearer realm=\"{}\"{}", realm, had_token ? ", error=\"invalid_token\"" : "");
  if (!is_field_value(field)) {
    request.logger.error("the realm of auth_jwt has control characters");
    return Verdict::status(500);
  }
  add_challenge(request, field);
  return Verdict::status(401);
}

Verdict refuse(Request& request, std::string_view realm, std::string_view rule, std::string_view reason) {
  request.logger.info("the JWT is refused: {}", reason);
  audit(request, {check_name, Decided::denied, rule, {}});
  return challenge(request, realm, true);
}

// Of all sources; false: one of them has none to give.
Task<bool> load_keys(Request& request, const AuthJwtConf& own, std::vector<KeySetPtr>& sets) {
  KeyStore& store = request.worker().state<KeyStore>();
  KeyLimits limits{own.key_cache, own.key_bytes_max};
  ClaimsForKeys claims(request);
  for (const KeySource& source : own.sources) {
    std::string_view place = source.place.evaluate(request);
    KeySetPtr keys;
    if (source.is_file) {
      std::string path(request.generation().absolute_conf_path_in(place, request.arena()));
      keys = co_await store.from_file(request, std::move(path), limits);
    } else {
      std::string uri(place);
      keys = co_await store.from_request(request, std::move(uri), limits);
    }
    if (!keys) co_return false;
    sets.push_back(std::move(keys));
  }
  if (sets.empty()) request.logger.error("there is no \"auth_jwt_key_file\" or \"auth_jwt_key_request\" for auth_jwt");
  co_return !sets.empty();
}

struct Refused {
  std::string_view rule;  // of a fixed set, for the counter
  std::string reason;
};

using Checked = Result<TokenPtr, Refused>;

Checked check_signed(std::string_view text, std::span<const KeySetPtr> sets) {
  auto token = parse_token(text);
  if (!token) return Refused{"malformed", std::move(token.error())};
  switch (verify(**token, sets)) {
    case Signature::good: break;
    case Signature::bad: return Refused{"signature", "the signature is not good"};
    case Signature::no_key: return Refused{"no key", "no key fits its \"kid\" and \"alg\""};
  }
  return std::move(*token);
}

Checked check_encrypted(std::string_view text, std::span<const KeySetPtr> sets, TokenType type) {
  auto opened = decrypt_token(text, sets);
  if (!opened) return Refused{"encryption", std::move(opened.error())};
  if (type == TokenType::nested) return check_signed(opened->text, sets);
  auto payload = Claims::parse(opened->text);
  if (!payload) return Refused{"malformed", "payload: " + payload.error()};
  auto token = std::make_shared<Token>();
  token->payload_text = std::move(opened->text);
  token->header = std::move(opened->header);
  token->payload = std::move(*payload);
  return TokenPtr(std::move(token));
}

// The token, verified now or earlier.
Checked verified(Request& request, std::string_view text, std::span<const KeySetPtr> sets) {
  TokenType type = conf<AuthJwtConf>(request).type;
  TokenCache& cache = request.worker().state<Tokens>().of(type);
  if (TokenPtr known = cache.find(text, sets)) return known;
  auto token = type == TokenType::signed_only ? check_signed(text, sets) : check_encrypted(text, sets, type);
  if (token) cache.add(text, sets, *token);
  return token;
}

// What auth_jwt_require asks for. next(): all of it is there.
Verdict check_requirements(Request& request, const AuthJwtConf& own, std::string_view realm) {
  for (const Requirement& requirement : own.requirements) {
    const Template* missing = first_missing(requirement, request);
    if (!missing) continue;
    if (requirement.status == 401) return refuse(request, realm, "require", format("\"{}\" does not hold", missing->source()));
    request.logger.info("the JWT is refused: \"{}\" does not hold", missing->source());
    audit(request, {check_name, Decided::denied, "require", {}});
    return Verdict::status(requirement.status);
  }
  return Verdict::next();
}

// Ahead of all that let somebody in, other checks of `satisfy any` among them.
Verdict begin_access(Request& request) {
  end_claims(request);
  return Verdict::next();
}

Task<Verdict> check(Request& request) {
  const AuthJwtConf& own = conf<AuthJwtConf>(request);
  std::string_view realm = own.realm.evaluate(request);
  if (realm == "off") co_return Verdict::next();
  std::string_view text = token_text(request, own);
  if (text.empty()) {
    audit(request, {check_name, Decided::challenged, "no token", {}});
    co_return challenge(request, realm, false);
  }
  std::vector<KeySetPtr> sets;
  bool loaded = co_await load_keys(request, own, sets);
  if (!loaded) {
    audit(request, {check_name, Decided::failed, "keys", {}});
    co_return Verdict::status(500);
  }
  auto token = verified(request, text, sets);
  if (!token) co_return refuse(request, realm, token.error().rule, token.error().reason);
  std::string_view late = check_times((*token)->payload, clock().seconds(), static_cast<int64_t>(own.leeway.s));
  if (!late.empty()) co_return refuse(request, realm, "time", late);
  std::string_view subject = (*token)->payload.string("sub").value_or(std::string_view());
  keep_token(request, std::move(*token));
  Verdict verdict = check_requirements(request, own, realm);
  if (!verdict.is_next()) co_return verdict;
  audit(request, {check_name, Decided::allowed, "token", subject});
  co_return Verdict::allow();
}

constexpr std::string_view after[] = {"access", "http_auth_basic"};
constexpr PhaseEntry phases[] = {{.phase = Phase::access, .check = &begin_access, .applies = &is_wanted, .leads = true},
                                 {.phase = Phase::access, .run = &check, .applies = &is_wanted}};
constexpr Hooks hooks = {.phases = phases};

}  // namespace
}  // namespace fairlead::http::auth_jwt

namespace fairlead {

extern constinit const Module http_auth_jwt_module = {
    .name = "http_auth_jwt",
    .conf = conf_of<http::auth_jwt::AuthJwtConf>,
    .directives = http::auth_jwt::rows,
    .variables = http::auth_jwt::variables,
    .after = http::auth_jwt::after,
    .http = &http::auth_jwt::hooks,
};

}  // namespace fairlead
