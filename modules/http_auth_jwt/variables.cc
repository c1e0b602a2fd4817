// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_jwt/variables.h"

#include <vector>

#include "core/conf/template.h"

namespace fairlead::http::auth_jwt {
namespace {

struct Kept {
  const Token* token = nullptr;
};

const Token* token_of(Session& session) {
  for (Session* at = &session; at; at = at->parent)
    if (const Kept* kept = at->find_slot<Kept>()) return kept->token;
  return nullptr;
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

void keep_token(Request& request, TokenPtr token) {
  request.slot<Kept>().token = request.arena().make<TokenPtr>(std::move(token))->get();
}

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
