// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_jwt/token_cache.h"

#include <algorithm>

namespace fairlead::http::auth_jwt {

TokenPtr TokenCache::find(std::string_view text, std::span<const KeySetPtr> sets) {
  auto found = by_text_.find(text);
  if (found == by_text_.end()) return nullptr;
  Entry& entry = *found->second;
  if (!std::equal(sets.begin(), sets.end(), entry.sets.begin(), entry.sets.end())) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return entry.token;
}

void TokenCache::add(std::string_view text, std::span<const KeySetPtr> sets, TokenPtr token) {
  if (tokens_max_ == 0 || text.size() > cached_token_bytes_max) return;
  auto found = by_text_.find(text);
  if (found != by_text_.end()) {  // of other sets
    auto entry = found->second;
    by_text_.erase(found);
    entries_.erase(entry);
  } else if (entries_.size() >= tokens_max_) {
    by_text_.erase(entries_.back().text);
    entries_.pop_back();
  }
  entries_.push_front(Entry{std::string(text), std::vector<KeySetPtr>(sets.begin(), sets.end()), std::move(token)});
  by_text_.emplace(entries_.front().text, entries_.begin());
}

}  // namespace fairlead::http::auth_jwt
