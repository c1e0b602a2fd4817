// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/upstreams.h"

namespace fairlead {

static PeerSet make_set(const GroupSpec& spec, std::vector<PeerSpec> specs) {
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
      names_noted_(loop) {}

void Upstream::replace(std::vector<PeerSpec> specs) {
  PeerSet next = make_set(spec, std::move(specs));
  next.carry_over(peers.peek());
  peers.replace(prepared(spec, std::move(next)));
}

Upstreams::Upstreams(Worker& worker)
    : worker_(worker), random_(Random::from_system()), shared_pool_(worker.loop(), limits_of(KeepaliveLimits{})) {
  all_.resize(upstreams_of(worker.generation()).groups.size());
}

Upstream& Upstreams::of(const GroupSpec& group) {
  std::unique_ptr<Upstream>& place = all_[group.index];
  if (!place) place = std::make_unique<Upstream>(worker_.loop(), group);
  return *place;
}

}  // namespace fairlead
