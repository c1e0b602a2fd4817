// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_jwt/variables.h"

#include <vector>

#include "core/base/text.h"
#include "core/conf/template.h"

namespace fairlead::http::auth_jwt {
namespace {

struct Kept {
  const Token* verified = nullptr;
  const Token* claimed = nullptr;  // what `claimed_text` is, if it is a token at all
  std::string_view claimed_text;
  bool may_claim = true;
};

const Token* in_arena(Request& request, TokenPtr token) { return request.arena().make<TokenPtr>(std::move(token))->get(); }

const Token* claimed_token(Request& request) {
  const AuthJwtConf& own = conf<AuthJwtConf>(request);
  bool will_be_verified = own.type == TokenType::signed_only && own.may_ask() && !request.is_subrequest;
  if (!will_be_verified) return nullptr;
  Kept& kept = request.slot<Kept>();
  if (!kept.may_claim) return nullptr;
  kept.may_claim = false;  // where the text is may depend on what it says
  std::string_view text = token_text(request, own);
  kept.may_claim = true;
  if (text == kept.claimed_text) return kept.claimed;
  kept.claimed_text = text;
  auto token = parse_token(text);
  kept.claimed = token ? in_arena(request, std::move(*token)) : nullptr;
  return kept.claimed;
}

const Token* token_of(Session& session) {
  Session* at = &session;
  for (;; at = at->parent) {
    const Kept* kept = at->find_slot<Kept>();
    if (kept && kept->verified) return kept->verified;
    if (!at->parent) return claimed_token(as_request(*at));
  }
}

Value claim(Session& session, bool of_header, std::span<const std::string_view> path) {
  const Token* token = token_of(session);
  if (!token) return Value::missing();
  auto text = (of_header ? token->header : token->payload).text(path);
  return text ? Value{session.arena().copy(*text)} : Value::missing();
}

template <bool of_header>
Value get_named(Session& session, uintptr_t datum) {
  return claim(session, of_header, std::span(reinterpret_cast<const std::string_view*>(datum), 1));
}

template <bool of_header>
Value get_path(Session& session, uintptr_t datum) {
  return claim(session, of_header, *reinterpret_cast<const std::vector<std::string_view>*>(datum));
}

Value get_payload(Session& session, uintptr_t) {
  const Token* token = token_of(session);
  return token ? Value{token->payload_text} : Value::missing();
}

}  // namespace

// Volatile: there may be no token yet when one of them is asked for first.
constinit const std::array<VariableDef, 3> variables = {{
    {"jwt_claim_", get_named<false>, variable_volatile | variable_prefix, http_variable},
    {"jwt_header_", get_named<true>, variable_volatile | variable_prefix, http_variable},
    {"jwt_payload", get_payload, variable_volatile | variable_changeable, http_variable},
}};

std::string_view token_text(Request& request, const AuthJwtConf& own) {
  if (own.token.is_set()) return own.token.evaluate(request);
  std::string_view field = request.head.headers.value(KnownHeader::authorization);
  return starts_with_nocase(field, "Bearer ") ? trim(field.substr(7)) : std::string_view();
}

void keep_token(Request& request, TokenPtr token) { request.slot<Kept>().verified = in_arena(request, std::move(token)); }

void end_claims(Request& request) { request.slot<Kept>().may_claim = false; }

ClaimsForKeys::ClaimsForKeys(Request& request) : request_(request) { request_.slot<Kept>().may_claim = true; }
ClaimsForKeys::~ClaimsForKeys() { end_claims(request_); }

ConfResult<Unit> define_claim(Line& line, bool of_header) {
  auto name = variable_name(line, 1);
  if (!name) return name.error();
  auto* path = line.arena().make<std::vector<std::string_view>>(line.words().begin() + 2, line.words().end());
  VariableDef def;
  def.name = *name;
  def.get = of_header ? &get_path<true> : &get_path<false>;
  def.flags = variable_volatile;
  def.engines = http_variable;
  def.datum = reinterpret_cast<uintptr_t>(path);
  auto index = variables_of(line).define(def, line.place());
  if (!index) return index.error();
  return Unit();
}

}  // namespace fairlead::http::auth_jwt
