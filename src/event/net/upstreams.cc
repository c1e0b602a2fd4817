// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/upstreams.h"

#include <algorithm>

#include "core/conf/error_log.h"
#include "core/upstream/binder.h"

namespace fairlead {

static PeerSet make_set(const GroupSpec& spec, std::vector<PeerSpec> specs) {
  if (spec.binder) {
    for (PeerSpec& peer : specs)
      if (peer.route.empty()) peer.route = default_route(peer.name);
  }
  if (spec.share.table) {
    auto shared = PeerSet::make_shared(specs, spec.share);
    if (shared) return std::move(*shared);
    Logger().error("zone of upstream \"{}\" has no room for its peers, their state is this worker's own", spec.name);
  }
  return PeerSet(std::move(specs));
}

static PeerSet prepared(const GroupSpec& spec, PeerSet set) {
  set.set_index(spec.balancer->prepare(set));
  return set;
}

static PoolLimits limits_of(const KeepaliveLimits& keepalive) {
  return PoolLimits{keepalive.idle_max, keepalive.timeout_ms, keepalive.requests_max, keepalive.time_ms};
}

Upstream::Upstream(Loop& loop, const GroupSpec& group_spec)
    : spec(group_spec),
      peers(prepared(group_spec, make_set(group_spec, group_spec.peers))),
      pool(loop, limits_of(group_spec.keepalive)),
      names_noted_(loop) {
  if (spec.queue.most > 0) queue = std::make_unique<PeerQueue>(loop, spec.queue);
  for (const ServerLine& line : spec.servers) {
    known_.push_back(line.known);
    answered_.push_back(line.host.empty());
  }
}

void Upstream::use_known() {
  PeerSet next = make_set(spec, peers_of(spec, known_));
  next.carry_over(peers.peek());
  peers.replace(prepared(spec, std::move(next)));
  if (queue) queue->wake();
}

void Upstream::note_answer(size_t line) {
  answered_[line] = true;
  bool all = std::find(answered_.begin(), answered_.end(), false) == answered_.end();
  if (all || peers.peek().size() > 0) note_names();
}

bool Upstream::store(size_t line, const NamedAddresses& known) {
  if (!spec.zone_names) return false;
  spec.share.lock->lock();
  bool stored = spec.zone_names->store(names_key(spec, spec.servers[line]), known);
  spec.share.lock->unlock();
  if (!stored) {
    Logger log(*conf<ErrorLogConf>(*spec.block).log);
    log.error("zone of upstream \"{}\" has no room for its names, they are this worker's own", spec.name);
  }
  return stored;
}

void Upstream::learn(size_t line, NamedAddresses known) {
  if (store(line, known)) {
    follow_zone();
  } else if (known != known_[line]) {
    known_[line] = std::move(known);
    use_known();
  }
  note_answer(line);
}

// Others wait for a first answer, too.
void Upstream::learn_nothing(size_t line) {
  if (known_[line].empty()) store(line, {});
  note_answer(line);
}

void Upstream::take_from_zone() {
  zone_version_ = spec.zone_names->version();
  bool changed = false;
  spec.share.lock->lock();
  for (size_t i = 0; i < known_.size(); ++i) {
    const ServerLine& line = spec.servers[i];
    if (line.host.empty()) continue;
    auto learnt = spec.zone_names->find(names_key(spec, line));
    if (!learnt) continue;
    answered_[i] = true;
    // A name that nobody promised to be gone one day keeps what it had.
    if (*learnt == known_[i] || (learnt->empty() && !line.resolve)) continue;
    known_[i] = std::move(*learnt);
    changed = true;
  }
  spec.share.lock->unlock();
  if (changed) use_known();
  for (size_t i = 0; i < answered_.size(); ++i)
    if (answered_[i]) note_answer(i);
}

Upstreams::Upstreams(Worker& worker)
    : worker_(worker), random_(Random::from_system()), shared_pool_(worker.loop(), limits_of(KeepaliveLimits{})) {
  all_.resize(upstreams_of(worker.generation()).groups.size());
}

Upstream& Upstreams::of(const GroupSpec& group) {
  std::unique_ptr<Upstream>& place = all_[group.index];
  if (!place) place = std::make_unique<Upstream>(worker_.loop(), group);
  place->follow_zone();
  return *place;
}

}  // namespace fairlead
