// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/pair_cache.h"

#include "core/base/text.h"

namespace fairlead {

std::shared_ptr<const KeyPair> PairCache::find(const std::string& source, uint64_t now_ms) {
  drop_old(now_ms);
  auto found = by_source_.find(source);
  if (found == by_source_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  Entry& entry = entries_.front();
  entry.used_ms = now_ms;
  if (now_ms - entry.loaded_ms < limits_.valid_s * 1000) return entry.pair;
  by_source_.erase(found);
  entries_.pop_front();
  return nullptr;
}

void PairCache::put(std::string source, std::shared_ptr<const KeyPair> pair, uint64_t now_ms) {
  if (limits_.entries_max == 0 || by_source_.contains(source)) return;  // another handshake may have loaded it meanwhile
  if (entries_.size() >= limits_.entries_max) {
    by_source_.erase(entries_.back().source);
    entries_.pop_back();
  }
  entries_.push_front({std::move(source), std::move(pair), now_ms, now_ms});
  by_source_.emplace(entries_.front().source, entries_.begin());
}

Task<ConfResult<std::shared_ptr<const KeyPair>>> PairCache::get(BlockingPool& files, std::string_view certificate, std::string_view key,
                                                                std::span<const std::string_view> passwords) {
  std::string source(certificate);
  source.append(1, '\n').append(key);
  if (auto kept = find(source, files.loop().now_ms())) co_return kept;
  // The thread may outlive this frame: it gets texts of its own.
  auto load = [from = std::string(certificate), with = std::string(key), passwords] { return load_pair(from, with, passwords); };
  Blocking loading(files, std::move(load));
  auto loaded = co_await loading;
  if (!loaded) co_return std::string(loaded.error().what);
  if (!*loaded) co_return std::move(loaded->error());
  auto pair = std::make_shared<const KeyPair>(std::move(**loaded));
  put(std::move(source), pair, files.loop().now_ms());
  co_return pair;
}

void PairCache::drop_old(uint64_t now_ms) {
  while (!entries_.empty() && now_ms - entries_.back().used_ms >= limits_.inactive_s * 1000) {
    by_source_.erase(entries_.back().source);
    entries_.pop_back();
  }
}

ConfResult<Unit> ConfValue<PairCacheLimits>::parse(Line& line, PairCacheLimits& field) {
  field = {};
  if (line.word_count() == 1 && line.word(1) == "off") return Unit();
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    if (word.starts_with("max=")) {
      auto number = parse_decimal(word.substr(4));
      if (!number || *number == 0) return line.invalid_parameter(i);
      field.entries_max = *number;
      continue;
    }
    bool inactive = word.starts_with("inactive=");
    if (!inactive && !word.starts_with("valid=")) return line.invalid_parameter(i);
    auto ms = parse_time_ms(word.substr(word.find('=') + 1), TimeGrain::seconds);
    if (!ms) return line.invalid_parameter(i);
    (inactive ? field.inactive_s : field.valid_s) = *ms / 1000;
  }
  if (field.entries_max == 0) return line.directive_reason("must have the \"max\" parameter");
  return Unit();
}

}  // namespace fairlead
