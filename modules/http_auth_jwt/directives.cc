// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The directives of auth_jwt: names and meanings are those of NGINX Plus.
#include "core/base/format.h"
#include "core/conf/line.h"
#include "modules/http_auth_jwt/conf.h"
#include "modules/http_auth_jwt/variables.h"

namespace fairlead::http::auth_jwt {
namespace {

ConfResult<Unit> set_realm(Line& line, AuthJwtConf& own) {
  auto realm = compile_word(line, 1);
  if (!realm) return realm.error();
  own.realm = std::move(*realm);
  own.token = Template();
  if (line.word_count() == 1) return Unit();
  std::string_view word = line.word(2);
  if (!word.starts_with("token=")) return line.invalid_parameter(2);
  word.remove_prefix(6);
  if (!word.starts_with('$')) return line.invalid_parameter(2);
  auto token = compile_text(line, word);
  if (!token) return token.error();
  own.token = std::move(*token);
  return Unit();
}

template <bool is_file>
ConfResult<Unit> add_source(Line& line, AuthJwtConf& own) {
  if (line.word(1).empty() || (!is_file && line.word(1)[0] != '/' && line.word(1)[0] != '$')) return line.invalid_value(1);
  auto place = compile_word(line, 1);
  if (!place) return place.error();
  own.sources.push_back({std::move(*place), is_file});
  return Unit();
}

ConfResult<Unit> add_requirement(Line& line, AuthJwtConf& own) {
  Requirement requirement;
  requirement.status = 401;
  FL_TRY(parse_requirement(line, [](uint64_t status) { return status == 401 || status == 403; }, requirement));
  own.requirements.push_back(std::move(requirement));
  return Unit();
}

template <bool of_header>
ConfResult<Unit> add_claim(Line& line, AuthJwtConf&) { return define_claim(line, of_header); }

ConfResult<Unit> set_cached_tokens(Line& line, AuthJwtConf&) {
  uint64_t most = 0;
  FL_TRY(ConfValue<uint64_t>::parse(line, most));
  if (most > cached_tokens_limit) return line.invalid_value(1);
  own_conf<AuthJwtConf>(*line.block().enclosing(in_main)).cached_tokens_max = most;
  return Unit();
}

constexpr uint32_t anywhere = in_http_any | in_limit_except;
}  // namespace

constinit const std::array<Directive, 11> rows = {
    custom<set_realm, AuthJwtConf, &AuthJwtConf::realm, &AuthJwtConf::token>(
        "auth_jwt", anywhere, words(1, 2), "The realm that a JSON Web Token is asked for, and the variable it is in; \"off\": none is.")
        .takes("realm [token=$variable] | off").usual("off"),
    slot<AuthJwtConf, &AuthJwtConf::type>(
        "auth_jwt_type", in_http_any | in_limit_except,
        "What tokens are: signed; encrypted, which shows who made them only if the key is secret; or signed and then encrypted.")
        .takes("signed | encrypted | nested"),
    custom<add_source<true>, AuthJwtConf, &AuthJwtConf::sources>(
        "auth_jwt_key_file", anywhere, words(1), "A file of keys (JSON Web Key Set) that tokens may be signed with.")
        .many().takes("file"),
    custom<add_source<false>, AuthJwtConf, &AuthJwtConf::sources>(
        "auth_jwt_key_request", anywhere, words(1), "The URI of a subrequest that gives keys (JSON Web Key Set).")
        .many().takes("uri"),
    slot<AuthJwtConf, &AuthJwtConf::key_cache>(
        "auth_jwt_key_cache", in_http_any,
        "How long keys are used before they are loaded again; 0: a file when it has changed, a subrequest for each request."),
    slot<AuthJwtConf, &AuthJwtConf::key_bytes_max>("auth_jwt_key_max_size", in_http_any, "The longest text of a key set."),
    slot<AuthJwtConf, &AuthJwtConf::leeway>("auth_jwt_leeway", in_http_any,
                                            "How far the clocks of whoever issues tokens may be off, for the claims exp and nbf."),
    custom<add_requirement, AuthJwtConf, &AuthJwtConf::requirements>(
        "auth_jwt_require", anywhere, words_from(1), "Values that must all be something other than nothing and 0, or the token is refused.")
        .many().takes("$value ... [error=401 | error=403]"),
    custom<add_claim<false>, AuthJwtConf>("auth_jwt_claim_set", in_http, words_from(2),
                                          "A variable for the claim that lies at a path of names; arrays are joined with commas. Before "
                                          "the access phase those of a signed token are there unverified, afterwards verified ones alone.")
        .many().takes("$variable name ..."),
    custom<add_claim<true>, AuthJwtConf>("auth_jwt_header_set", in_http, words_from(2),
                                         "A variable for the header parameter that lies at a path of names; arrays are joined with commas.")
        .many().takes("$variable name ..."),
    custom<set_cached_tokens, AuthJwtConf>("auth_jwt_cache", in_http, words(1),
                                           "Verified tokens that a worker keeps, so as not to verify them again; 0: none. Default 1000.")
        .takes("number"),
};

}  // namespace fairlead::http::auth_jwt
