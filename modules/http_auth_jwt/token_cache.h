// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TokenCache: tokens whose signature was good, with the key sets it was good for, so that it need not be verified again. Only such tokens
// enter, so a client without keys cannot fill it. The times of a token are not looked at here. Private to this folder.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/lru_cache.h"
#include "modules/http_auth_jwt/token.h"

namespace fairlead::http::auth_jwt {

// Longer tokens are verified each time.
constexpr size_t cached_token_bytes_max = 8192;

class TokenCache {
 public:
  // At most `tokens_max`; the one unused for longest leaves. 0: none.
  explicit TokenCache(size_t tokens_max) : entries_(tokens_max) {}
  // nullptr: not known, or verified with other sets.
  TokenPtr find(std::string_view text, std::span<const KeySetPtr> sets);
  void add(std::string_view text, std::span<const KeySetPtr> sets, TokenPtr token);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::vector<KeySetPtr> sets;  // held, so that an address stands for one set
    TokenPtr token;
  };
  LruCache<Entry> entries_;  // by text
};

}  // namespace fairlead::http::auth_jwt
