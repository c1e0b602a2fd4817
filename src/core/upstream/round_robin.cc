// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/round_robin.h"

namespace fairlead {

const Peer* choose_round_robin(std::span<const Peer> peers, const PickRequest& request) {
  WeightRound round;
  for (const Peer& peer : peers) {
    if (may_try(peer, request)) round.offer(peer, peer.share_percent(request.now_s));
  }
  return round.finish();
}

const Peer* RoundRobin::choose(const PeerSet& set, const PickRequest& request) const {
  return choose_round_robin(set.primaries(), request);
}

void RoundRobin::note_bound(const PeerSet& set, const PickRequest& request, const Peer& peer) const {
  if (!may_try(peer, request)) return;  // leaving: it takes part in no round
  WeightRound round;
  for (const Peer& other : peer.spec.backup ? set.backups() : set.primaries()) {
    if (may_try(other, request)) round.offer(other, other.share_percent(request.now_s));
  }
  round.finish_with(peer);
}

}  // namespace fairlead
