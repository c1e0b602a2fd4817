// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the directives of auth_jwt set, and their rows. Private to this folder.
#pragma once

#include <array>
#include <vector>

#include "core/conf/directive.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "http/request/requirement.h"

namespace fairlead::http::auth_jwt {

struct KeySource {
  Template place;        // a file's path, or the URI of a location
  bool is_file = true;
};

// What tokens are: signed, encrypted, or encrypted with a signed one inside.
enum class TokenType : uint8_t { signed_only, encrypted, nested };

constexpr uint64_t default_cached_tokens_max = 1000;
constexpr uint64_t cached_tokens_limit = 1'000'000;

struct AuthJwtConf {
  Template realm;             // not set, or "off": no token is asked for
  Template token;             // where it is; not set: the Authorization field
  TokenType type = TokenType::signed_only;
  std::vector<KeySource> sources;
  Msec key_cache{0};
  Size key_bytes_max{256 * 1024};
  Seconds leeway{0};
  std::vector<Requirement> requirements;
  uint64_t cached_tokens_max = default_cached_tokens_max;  // of the main part: per worker

  bool may_ask() const { return realm.is_set() && !(realm.is_literal() && realm.literal() == "off"); }
};

extern const std::array<Directive, 11> rows;

}  // namespace fairlead::http::auth_jwt

namespace fairlead {

template <>
struct EnumWords<http::auth_jwt::TokenType> {
  using Type = http::auth_jwt::TokenType;
  static constexpr EnumWord<Type> all[] = {{"signed", Type::signed_only}, {"encrypted", Type::encrypted}, {"nested", Type::nested}};
};

}  // namespace fairlead
