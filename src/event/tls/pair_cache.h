// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PairCache: certificates with their keys, loaded at run time because their sources have variables, kept by source. Of one worker and one
// setting; what is in use is shared with whoever uses it.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/conf/value.h"
#include "event/file/blocking.h"
#include "event/tls/pem.h"

namespace fairlead {

// "off", or "max=N [inactive=10s] [valid=60s]".
struct PairCacheLimits {
  size_t entries_max = 0;     // 0: off
  uint64_t inactive_s = 10;   // not used for so long: dropped
  uint64_t valid_s = 60;      // loaded so long ago: loaded again
};

class PairCache {
 public:
  explicit PairCache(const PairCacheLimits& limits) : limits_(limits) {}
  // Loads on a thread of `files` what is not there. The views outlive the call; the passwords belong to the generation.
  Task<ConfResult<std::shared_ptr<const KeyPair>>> get(BlockingPool& files, std::string_view certificate, std::string_view key,
                                                       std::span<const std::string_view> passwords);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string source;
    std::shared_ptr<const KeyPair> pair;
    uint64_t loaded_ms = 0, used_ms = 0;
  };
  std::shared_ptr<const KeyPair> find(const std::string& source, uint64_t now_ms);
  void put(std::string source, std::shared_ptr<const KeyPair> pair, uint64_t now_ms);
  void drop_old(uint64_t now_ms);

  PairCacheLimits limits_;
  std::list<Entry> entries_;  // the most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_source_;
};

template <>
struct ConfValue<PairCacheLimits> {
  static constexpr WordCount words{1, 3};
  static constexpr std::string_view type = "off | max=number [inactive=time] [valid=time]";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, PairCacheLimits& field);
};

}  // namespace fairlead
