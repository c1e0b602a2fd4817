// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// LruCache: values by text, up to a number; when it is full the one unused for longest leaves. Of one process; what processes share is
// core/shm/table.h. How long a value holds is its owner's matter.
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/base/hash.h"

namespace fairlead {

template <class Value>
class LruCache {
 public:
  // `seed`: where strangers choose the keys, random. entries_max 0: nothing is kept.
  explicit LruCache(size_t entries_max, uint64_t seed = 0) : entries_max_(entries_max), by_key_(16, Hash{seed}) {}
  LruCache(const LruCache&) = delete;
  LruCache& operator=(const LruCache&) = delete;

  // The value, which was just used by this; nullptr: there is none. Valid until the next change.
  Value* find(std::string_view key) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->second;
  }
  // In place of an older one of this key.
  void put(std::string_view key, Value value) {
    if (entries_max_ == 0) return;
    if (Value* known = find(key)) {
      *known = std::move(value);
      return;
    }
    if (entries_.size() >= entries_max_) {
      by_key_.erase(entries_.back().first);
      entries_.pop_back();
    }
    entries_.emplace_front(std::string(key), std::move(value));
    by_key_.emplace(entries_.front().first, entries_.begin());
  }
  void remove(std::string_view key) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    auto entry = found->second;
    by_key_.erase(found);  // its key lies in the entry
    entries_.erase(entry);
  }
  size_t size() const { return entries_.size(); }

 private:
  struct Hash {
    uint64_t seed;
    size_t operator()(std::string_view key) const { return hash_bytes(key, seed); }
  };
  using Entries = std::list<std::pair<std::string, Value>>;  // the last used first
  size_t entries_max_;
  Entries entries_;
  std::unordered_map<std::string_view, typename Entries::iterator, Hash> by_key_;  // keys are views of the entries'
};

}  // namespace fairlead
