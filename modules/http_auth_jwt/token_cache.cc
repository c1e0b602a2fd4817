// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_jwt/token_cache.h"

#include <algorithm>

namespace fairlead::http::auth_jwt {

TokenPtr TokenCache::find(std::string_view text, std::span<const KeySetPtr> sets) {
  Entry* entry = entries_.find(text);
  if (!entry || !std::equal(sets.begin(), sets.end(), entry->sets.begin(), entry->sets.end())) return nullptr;
  return entry->token;
}

void TokenCache::add(std::string_view text, std::span<const KeySetPtr> sets, TokenPtr token) {
  if (text.size() > cached_token_bytes_max) return;
  entries_.put(text, Entry{std::vector<KeySetPtr>(sets.begin(), sets.end()), std::move(token)});
}

}  // namespace fairlead::http::auth_jwt
