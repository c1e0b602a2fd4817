// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_limit_conn: how many requests of one key (an address, a server) may be at work at once, over all workers. A request counts from its
// preaccess phase (or that of a subrequest) to its end. The counts lie in a shared zone, each with the shares of the workers in it, so that
// those of a killed one can be taken away.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/shm/table.h"
#include "core/shm/zone_word.h"
#include "event/worker.h"
#include "http/hooks.h"
#include "http/request/limit.h"

namespace fairlead {
namespace {

using namespace http;

// Requests of one key in one worker, at least one. A block of the zone.
struct Share {
  Share* next;
  pid_t worker;
  uint32_t requests;
};

// Requests of one key: the sum of its shares. Without any the entry is removed.
struct Count {
  uint64_t requests;
  Share* shares;
};
using Counts = ShmTable<Count>;

// The process that counts, asked for once.
struct OwnPid {
  explicit OwnPid(Worker&) : pid(getpid()) {}
  pid_t pid;
};

using ConnZone = KeyedZone;  // limit_conn_zone

struct Limit {
  const ConnZone* zone;
  uint64_t most;
};

struct LimitConnConf {
  std::vector<ConnZone*> zones;  // in the main block
  std::vector<Limit> limits;
  RefusalStatus status;
  LogLevel log_level = LogLevel::error;
  bool dry_run = false;
};

const char zone_owner = 0;

// -- counting, under the zone's lock --

// Where the share of a worker is linked, or nullptr.
Share** find_share(Count& count, pid_t worker) {
  for (Share** link = &count.shares; *link; link = &(*link)->next)
    if ((*link)->worker == worker) return link;
  return nullptr;
}

bool has_no_requests(const Count& count) { return count.requests == 0; }

// One more of `key`, unless there are `most` already or the zone has no room for it.
bool add_request(Zone& zone, std::string_view key, uint64_t most, pid_t worker) {
  Counts& counts = Counts::in(zone);
  auto [count, fresh] = counts.find_or_insert<has_no_requests>(key);
  if (!count || count->requests >= most) return false;
  Share** link = find_share(*count, worker);
  Share* share = link ? *link : static_cast<Share*>(zone.slab().allocate(sizeof(Share)));
  if (!share) {
    if (fresh) counts.remove(count);
    return false;
  }
  if (!link) count->shares = new (share) Share{count->shares, worker, 0};
  ++share->requests;
  ++count->requests;
  return true;
}

// `requests` less of the share at `link`. What becomes empty by it ends.
void take_requests(Zone& zone, Count* count, Share** link, uint32_t requests) {
  Share* share = *link;
  share->requests -= requests;
  count->requests -= requests;
  if (share->requests == 0) {
    *link = share->next;
    zone.slab().release(share);
  }
  if (count->requests == 0) Counts::in(zone).remove(count);
}

// A worker has ended, with whatever requests it still had.
void forget_worker(Zone& zone, pid_t worker) {
  ShmLockGuard guard = zone.lock();
  Counts& counts = Counts::in(zone);
  for (Count *count = counts.oldest(), *newer; count; count = newer) {
    newer = counts.newer(count);
    if (Share** link = find_share(*count, worker)) take_requests(zone, count, link, (*link)->requests);
  }
}

// -- directives --

ConfResult<ConnZone*> zone_named(Line& line, std::string_view name, size_t bytes) {
  auto zone = line.generation().zones.declare(name, bytes, &zone_owner);
  if (!zone) return zone.error();
  std::vector<ConnZone*>& zones = own_conf<LimitConnConf>(*line.block().enclosing(in_main)).zones;
  for (ConnZone* known : zones)
    if (known->zone == *zone) return known;
  zones.push_back(line.arena().make<ConnZone>());
  zones.back()->zone = *zone;
  (*zone)->set_forget(&forget_worker);
  return zones.back();
}

ConfResult<Unit> add_zone(Line& line, LimitConnConf&) {
  if (!line.word(2).starts_with("zone=")) return line.invalid_parameter(2);
  auto word = parse_zone_word(line.word(2).substr(5));
  if (!word) return word.error();
  if (word->name.empty()) return format("\"{}\" must have \"zone\" parameter", line.name());
  auto zone = zone_named(line, word->name, word->bytes);
  if (!zone) return zone.error();
  if ((*zone)->is_declared) return format("limit_conn_zone \"{}\" is already bound to key \"{}\"", word->name, (*zone)->key.source());
  auto key = compile_word(line, 1);
  if (!key) return key.error();
  (*zone)->key = std::move(*key);
  (*zone)->is_declared = true;
  return Unit();
}

ConfResult<Unit> add_limit(Line& line, LimitConnConf& own) {
  auto zone = zone_named(line, line.word(1), 0);
  if (!zone) return zone.error();
  for (const Limit& known : own.limits)
    if (known.zone == *zone) return line.directive_reason("is duplicate");
  auto most = parse_decimal(line.word(2));
  if (!most || *most == 0) return format("invalid number of connections \"{}\"", line.word(2));
  if (*most > 65535) return std::string("connection limit must be less 65536");
  own.limits.push_back({*zone, *most});
  return Unit();
}

bool is_limited(const Block& block) { return !conf<LimitConnConf>(block).limits.empty(); }

// -- requests --

// What a request counts for in a zone. Lies in the arena of the client's request, as its key does.
struct Place {
  Zone& zone;
  std::string_view key;
  pid_t worker;
  Place* before;  // taken before it, or nullptr
};

// The entry is looked for again: a repair may have emptied the zone.
void leave(const Place& place) {
  ShmLockGuard guard = place.zone.lock();
  Count* count = Counts::in(place.zone).find(place.key);
  Share** link = count ? find_share(*count, place.worker) : nullptr;
  if (link) take_requests(place.zone, count, link, 1);
}

// The outcome of the limits, which are asked once, and the places that are held: those of a subrequest, too, belong to the client's request
// and are held until its arena ends.
struct Outcome {
  std::string_view text;
  Place* newest = nullptr;

  Outcome() = default;
  ~Outcome() { leave_all(); }
  Outcome(const Outcome&) = delete;
  Outcome& operator=(const Outcome&) = delete;
  void leave_all() {
    for (; newest; newest = newest->before) leave(*newest);
  }
};

enum class Room : uint8_t { not_limited, taken, none };

// Its place, if there is room, becomes the newest of `outcome`, which lies in `arena`.
Room take_room(Request& request, const Limit& limit, Arena& arena, Outcome& outcome) {
  auto key = limit_key(request, limit.zone->key);
  if (!key) return Room::not_limited;
  Zone& zone = *limit.zone->zone;
  pid_t worker = request.worker().state<OwnPid>().pid;
  {
    ShmLockGuard guard = zone.lock();
    if (!add_request(zone, *key, limit.most, worker)) return Room::none;
  }
  outcome.newest = new (arena.allocate(sizeof(Place), alignof(Place))) Place{zone, arena.copy(*key), worker, outcome.newest};
  return Room::taken;
}

Verdict check(Request& request) {
  Request& origin = request.origin();
  Outcome& outcome = origin.slot<Outcome>();
  if (!outcome.text.empty()) return Verdict::next();
  const LimitConnConf& own = conf<LimitConnConf>(request);
  for (const Limit& limit : own.limits) {
    Room room = take_room(request, limit, origin.arena(), outcome);
    if (room == Room::taken) outcome.text = "PASSED";
    if (room != Room::none) continue;
    std::string_view dry = own.dry_run ? ", dry run," : "";
    request.logger.write(own.log_level, "limiting connections{} by zone \"{}\"", dry, limit.zone->zone->name());
    outcome.leave_all();  // as in nginx, also in a dry run: a request that one zone refuses counts in none
    outcome.text = own.dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
    if (own.dry_run) return Verdict::next();
    request.fail_reason = "RL";
    return Verdict::status(own.status.status);
  }
  return Verdict::next();
}

Value get_status(Session& session, uintptr_t) {
  const Outcome* outcome = as_request(session).origin().find_slot<Outcome>();
  return outcome && !outcome->text.empty() ? Value{outcome->text} : Value::missing();
}

constexpr std::array rows = {
    custom<add_zone, LimitConnConf>("limit_conn_zone", in_http, words(2), "A zone that counts requests at work, by a key.")
        .many()
        .takes("key zone=name:size"),
    custom<add_limit, LimitConnConf, &LimitConnConf::limits>("limit_conn", in_http_any, words(2),
                                                             "How many requests with one key of the zone may be at work at once.")
        .many()
        .takes("zone number"),
    slot<LimitConnConf, &LimitConnConf::status>("limit_conn_status", in_http_any, "The status of a request that is one too many."),
    slot<LimitConnConf, &LimitConnConf::log_level>("limit_conn_log_level", in_http_any, "How severe its line in the log is."),
    slot<LimitConnConf, &LimitConnConf::dry_run>("limit_conn_dry_run", in_http_any, "Requests are counted and logged but not refused."),
};

ConfResult<Unit> check_keys(Generation& generation) { return check_same_keys<LimitConnConf>(generation, "limit_conn_zone"); }

constexpr VariableDef variables[] = {{"limit_conn_status", get_status, variable_volatile, http_variable}};
constexpr std::string_view after[] = {"http_limit_req", "realip"};  // what is refused or waits is not at work
constexpr std::array phases = {PhaseEntry{.phase = Phase::preaccess, .check = &check, .applies = &is_limited}};
constexpr Hooks hooks = {.phases = phases, .filters = {}, .forward = {}};

}  // namespace

extern constinit const Module http_limit_conn_module = {.name = "http_limit_conn",
                                                        .conf = conf_of<LimitConnConf>,
                                                        .directives = rows,
                                                        .variables = variables,
                                                        .after = after,
                                                        .generation = check_keys,
                                                        .http = &hooks};

}  // namespace fairlead
