// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/round_robin.h"

namespace fairlead {

const Peer* choose_round_robin(std::span<const Peer> peers, const PickRequest& request) {
  WeightRound round;
  for (const Peer& peer : peers) {
    if (may_try(peer, request)) round.offer(peer);
  }
  return round.finish();
}

const Peer* RoundRobin::choose(const PeerSet& set, const PickRequest& request) const {
  return choose_round_robin(set.primaries(), request);
}

}  // namespace fairlead
