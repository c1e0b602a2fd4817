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

Pick Balancer::pick(const PeerSet& set, const PickRequest& request) const {
  PickState& state = request.state;
  state.tried.prepare(set.size(), request.arena);
  PeerGuard guard(set);
  const Peer* peer = nullptr;
  if (set.is_single()) {
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
  set.begin_try(*peer);
  return {PickStatus::picked, PeerLease(set, *peer)};
}

const Peer* Balancer::choose_backup(const PeerSet& set, const PickRequest& request) const {
  return choose_round_robin(set.backups(), request);
}

}  // namespace fairlead
