// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/balancer.h"

#include "core/upstream/round_robin.h"

namespace fairlead {

// A lone peer is never banned, but may be full, down or vetoed.
static const Peer* lone_peer(const PeerSet& set, const PickRequest& request) {
  const Peer& peer = set.all()[0];
  bool usable = !peer.spec.down && !peer.spec.drain && peer.state->vetoes == 0 && !peer.is_full();
  return usable && !request.state.tried.contains(0) ? &peer : nullptr;
}

// One that leaves or a backup is as good as any: the session is there.
static const Peer* bound_peer(const PeerSet& set, const PickRequest& request) {
  for (const Peer& peer : set.all()) {
    if (peer.spec.route == request.bound && !request.state.tried.contains(peer.index) && peer.can_serve_bound(request.now_s)) return &peer;
  }
  return nullptr;
}

Pick Balancer::pick(const PeerSet& set, const PickRequest& request) const {
  PickState& state = request.state;
  state.tried.prepare(set.size(), request.arena);
  PeerGuard guard(set);
  const Peer* peer = request.bound.empty() ? nullptr : bound_peer(set, request);
  if (peer) {
    note_bound(set, request, *peer);
  } else if (set.is_single()) {
    peer = lone_peer(set, request);
  } else {
    if (!state.on_backups) peer = choose(set, request);
    if (!peer && !set.backups().empty()) {
      peer = choose_backup(set, request);
      state.on_backups = peer != nullptr;
    }
  }
  if (!peer) return {state.tried.count() >= set.try_count() ? PickStatus::all_tried : PickStatus::none_eligible, PeerLease()};
  state.tried.add(peer->index);
  peer->note_picked(request.now_s);
  set.begin_try(*peer, request.now_ms);
  return {PickStatus::picked, PeerLease(set, *peer, request.now_ms)};
}

const Peer* Balancer::choose_backup(const PeerSet& set, const PickRequest& request) const {
  return choose_round_robin(set.backups(), request);
}

}  // namespace fairlead
