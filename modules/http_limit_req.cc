// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_limit_req: how many requests a second one key (an address, a server) may make, over all
// workers: a leaky bucket in a shared zone. What is above the rate waits or, above the burst, is
// refused. Amounts are kept in thousandths of a request, as nginx keeps them.
#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/shm/table.h"
#include "core/shm/zone_word.h"
#include "http/hooks.h"
#include "http/request/limit.h"

namespace fairlead {
namespace {

using namespace http;

struct Bucket {
  uint64_t last_ms;
  uint64_t excess;  // thousandths
  uint32_t used;    // else it was just made
  uint32_t unused;
};
using Buckets = ShmTable<Bucket>;

// limit_req_zone.
struct ReqZone : KeyedZone {
  uint64_t rate = 0;  // thousandths a second
};

constexpr uint64_t never_delayed = UINT64_MAX / 2;
struct Limit {
  const ReqZone* zone;
  uint64_t burst = 0, delay = 0;  // thousandths; above `delay` a request waits
};

struct LimitReqConf {
  std::vector<ReqZone*> zones;  // in the main block
  std::vector<Limit> limits;
  RefusalStatus status;
  LogLevel log_level = LogLevel::error;
  bool dry_run = false;
};

const char zone_owner = 0;

ConfResult<ReqZone*> zone_named(Line& line, std::string_view name, size_t bytes) {
  auto zone = line.generation().zones.declare(name, bytes, &zone_owner);
  if (!zone) return zone.error();
  std::vector<ReqZone*>& zones = own_conf<LimitReqConf>(*line.block().enclosing(in_main)).zones;
  for (ReqZone* known : zones)
    if (known->zone == *zone) return known;
  zones.push_back(line.arena().make<ReqZone>());
  zones.back()->zone = *zone;
  return zones.back();
}

// "10r/s", "30r/m" in thousandths a second; a bare number is one a second, as in nginx.
std::optional<uint64_t> parse_rate(std::string_view text) {
  bool is_per_minute = text.ends_with("r/m");
  uint64_t scale = is_per_minute ? 60 : 1;
  if (is_per_minute || text.ends_with("r/s")) text.remove_suffix(3);
  auto number = parse_decimal(text);
  if (!number || *number == 0 || *number > UINT32_MAX) return std::nullopt;
  return *number * 1000 / scale;
}

ConfResult<Unit> add_zone(Line& line, LimitReqConf&) {
  ZoneWord zone_word;
  uint64_t rate = 1000;
  for (size_t i = 2; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    if (word.starts_with("zone=")) {
      auto parsed = parse_zone_word(word.substr(5));
      if (!parsed) return parsed.error();
      zone_word = *parsed;
    } else if (word.starts_with("rate=")) {
      auto parsed = parse_rate(word.substr(5));
      if (!parsed) return format("invalid rate \"{}\"", word);
      rate = *parsed;
    } else {
      return line.invalid_parameter(i);
    }
  }
  if (zone_word.name.empty()) return format("\"{}\" must have \"zone\" parameter", line.name());
  auto zone = zone_named(line, zone_word.name, zone_word.bytes);
  if (!zone) return zone.error();
  if ((*zone)->is_declared) return format("limit_req_zone \"{}\" is already bound to key \"{}\"", zone_word.name, (*zone)->key.source());
  auto key = compile_word(line, 1);
  if (!key) return key.error();
  (*zone)->key = std::move(*key);
  (*zone)->rate = rate;
  (*zone)->is_declared = true;
  return Unit();
}

ConfResult<Unit> set_amount(std::string_view text, const char* what, uint64_t& thousandths) {
  auto number = parse_decimal(text.substr(text.find('=') + 1));
  if (!number || *number == 0 || *number > UINT32_MAX) return format("invalid {} value \"{}\"", what, text);
  thousandths = *number * 1000;
  return Unit();
}

ConfResult<Unit> add_limit(Line& line, LimitReqConf& own) {
  Limit limit{};
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    if (word.starts_with("zone=")) {
      auto zone = zone_named(line, word.substr(5), 0);
      if (!zone) return zone.error();
      limit.zone = *zone;
    } else if (word.starts_with("burst=")) {
      FL_TRY(set_amount(word, "burst", limit.burst));
    } else if (word.starts_with("delay=")) {
      FL_TRY(set_amount(word, "delay", limit.delay));
    } else if (word == "nodelay") {
      limit.delay = never_delayed;
    } else {
      return line.invalid_parameter(i);
    }
  }
  if (!limit.zone) return format("\"{}\" must have \"zone\" parameter", line.name());
  for (const Limit& known : own.limits)
    if (known.zone == limit.zone) return line.directive_reason("is duplicate");
  own.limits.push_back(limit);
  return Unit();
}

// What the bucket holds once this request is in it.
uint64_t excess_with(const Bucket& bucket, uint64_t rate, uint64_t now_ms) {
  if (!bucket.used) return 0;
  auto passed = static_cast<int64_t>(now_ms - bucket.last_ms);
  if (passed < -60'000) passed = 1;  // the clock is another one than before
  if (passed < 0) passed = 0;
  uint64_t drained = rate * static_cast<uint64_t>(passed) / 1000;
  uint64_t filled = bucket.excess + 1000;
  return filled > drained ? filled - drained : 0;
}

struct Asked {
  bool refused = false;
  bool is_counted = true;  // an empty key is not
  bool has_room = true;    // in the zone, for its key
  std::string_view key;
  uint64_t excess = 0;
};

// Looks into the bucket; `commit` puts the request in unless it is refused.
Asked ask(const Limit& limit, std::string_view key, uint64_t now_ms, bool commit) {
  Asked asked;
  asked.key = key;
  ShmLockGuard guard = limit.zone->zone->lock();
  auto [bucket, fresh] = Buckets::in(*limit.zone->zone).find_or_insert(key);
  if (!bucket) {
    asked.refused = true;
    asked.has_room = false;
    return asked;
  }
  asked.excess = excess_with(*bucket, limit.zone->rate, now_ms);
  asked.refused = asked.excess > limit.burst;
  if (asked.refused || !commit) return asked;
  bucket->excess = asked.excess;
  if (!bucket->used || now_ms > bucket->last_ms || bucket->last_ms - now_ms > 60'000) bucket->last_ms = now_ms;
  bucket->used = 1;
  return asked;
}

uint64_t wait_ms(const Limit& limit, uint64_t excess) {
  if (excess <= limit.delay) return 0;
  return (excess - limit.delay) * 1000 / limit.zone->rate;
}

struct Outcome {
  std::string_view text;
};
constexpr uint64_t refused = UINT64_MAX, not_limited = UINT64_MAX - 1;

void log_refusal(Request& request, const LimitReqConf& own, const Limit& limit, const Asked& asked) {
  std::string_view zone = limit.zone->zone->name();
  if (!asked.has_room) request.logger.alert("could not allocate node in limit_req zone \"{}\"", zone);
  else
    request.logger.write(own.log_level, "limiting requests{}, excess: {}.{:03} by zone \"{}\"", own.dry_run ? ", dry run" : "",
                         asked.excess / 1000, asked.excess % 1000, zone);
}

// The time to wait, `refused`, or `not_limited` if every key is empty. All limits are looked at
// before any bucket is filled; the last one both at once.
uint64_t ask_all(Request& request, const LimitReqConf& own) {
  uint64_t now_ms = request.loop().now_ms(), longest = 0, longest_excess = 0;
  const Limit* slowest = nullptr;
  std::span<Asked> all = {request.arena().make_array<Asked>(own.limits.size())};
  for (size_t i = 0; i < own.limits.size(); ++i) {
    const Limit& limit = own.limits[i];
    auto key = limit_key(request, limit.zone->key);
    if (!key) {
      all[i].is_counted = false;
      continue;
    }
    all[i] = ask(limit, *key, now_ms, i + 1 == own.limits.size());
    if (all[i].refused) {
      log_refusal(request, own, limit, all[i]);
      return refused;
    }
  }
  for (size_t i = 0; i < own.limits.size(); ++i) {
    if (!all[i].is_counted) continue;
    if (i + 1 < own.limits.size()) (void)ask(own.limits[i], all[i].key, now_ms, true);
    uint64_t wait = wait_ms(own.limits[i], all[i].excess);
    if (wait <= longest) continue;
    longest = wait;
    longest_excess = all[i].excess;
    slowest = &own.limits[i];
  }
  if (slowest) {
    LogLevel level = own.log_level == LogLevel::info ? LogLevel::info : static_cast<LogLevel>(static_cast<int>(own.log_level) + 1);
    request.logger.write(level, "delaying request{}, excess: {}.{:03}, by zone \"{}\"", own.dry_run ? ", dry run" : "",
                         longest_excess / 1000, longest_excess % 1000, slowest->zone->zone->name());
  }
  bool is_limited = std::any_of(all.begin(), all.end(), [](const Asked& asked) { return asked.is_counted; });
  return is_limited ? longest : not_limited;
}

Outcome& outcome_of(Session& session) { return as_request(session).origin().slot<Outcome>(); }

// Once a request. `wait`: how long it has to.
Verdict decide(Request& request, uint64_t& wait) {
  Outcome& outcome = outcome_of(request);
  if (!outcome.text.empty()) return Verdict::next();
  const LimitReqConf& own = conf<LimitReqConf>(request);
  wait = ask_all(request, own);
  if (wait == not_limited) {
    wait = 0;
    return Verdict::next();
  }
  if (wait == refused) {
    wait = 0;
    outcome.text = own.dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
    if (own.dry_run) return Verdict::next();
    request.fail_reason = "RL";
    return Verdict::status(own.status.status);
  }
  if (wait == 0) outcome.text = "PASSED";
  else outcome.text = own.dry_run ? "DELAYED_DRY_RUN" : "DELAYED";
  if (own.dry_run) wait = 0;
  return Verdict::next();
}

Verdict check(Request& request) {
  uint64_t wait = 0;
  return decide(request, wait);
}

Task<Verdict> run(Request& request) {
  uint64_t wait = 0;
  Verdict verdict = decide(request, wait);
  if (wait > 0) {
    AbortScope abortable(request);
    co_await Sleep(request.loop(), wait);
  }
  co_return verdict;
}

bool may_wait(const Block& block) {
  const std::vector<Limit>& limits = conf<LimitReqConf>(block).limits;
  return std::any_of(limits.begin(), limits.end(), [](const Limit& limit) { return limit.delay < limit.burst; });
}
bool never_waits(const Block& block) { return !conf<LimitReqConf>(block).limits.empty() && !may_wait(block); }

Value get_status(Session& session, uintptr_t) {
  const Outcome& outcome = outcome_of(session);
  return outcome.text.empty() ? Value::missing() : Value{outcome.text};
}

constexpr std::array rows = {
    custom<add_zone, LimitReqConf>("limit_req_zone", in_http, words(3), "A zone that keeps how fast requests come, by a key.")
        .many()
        .takes("key zone=name:size rate=number[r/s|r/m]"),
    custom<add_limit, LimitReqConf, &LimitReqConf::limits>("limit_req", in_http_any, words(1, 3),
                                                           "Requests with one key of the zone come at its rate at most.")
        .many()
        .takes("zone=name [burst=number] [nodelay | delay=number]"),
    slot<LimitReqConf, &LimitReqConf::status>("limit_req_status", in_http_any, "The status of a request that is refused."),
    slot<LimitReqConf, &LimitReqConf::log_level>("limit_req_log_level", in_http_any,
                                                 "How severe the line of a refusal is; that of a delay is one level less."),
    slot<LimitReqConf, &LimitReqConf::dry_run>("limit_req_dry_run", in_http_any, "Requests are only counted and logged."),
};

ConfResult<Unit> check_keys(Generation& generation) { return check_same_keys<LimitReqConf>(generation, "limit_req"); }

constexpr VariableDef variables[] = {{"limit_req_status", get_status, variable_volatile, http_variable}};
constexpr std::string_view after[] = {"realip"};
constexpr std::array phases = {PhaseEntry{.phase = Phase::preaccess, .check = &check, .applies = &never_waits},
                               PhaseEntry{.phase = Phase::preaccess, .run = &run, .applies = &may_wait}};
constexpr Hooks hooks = {.phases = phases, .filters = {}, .forward = {}};

}  // namespace

extern constinit const Module http_limit_req_module = {.name = "http_limit_req",
                                                       .conf = conf_of<LimitReqConf>,
                                                       .directives = rows,
                                                       .variables = variables,
                                                       .after = after,
                                                       .generation = check_keys,
                                                       .http = &hooks};

}  // namespace fairlead
