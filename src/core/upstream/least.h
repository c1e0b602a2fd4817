// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The peer that comes first in some order, round robin among equals: what methods that look for the least of something have in common.
#pragma once

#include <span>

#include "core/upstream/round_robin.h"

namespace fairlead {

// The peer that `order(a, b)` puts first (negative: a before b, 0: equal), or nullptr.
// `share_of(peer)`: how much of its weight counts among equals, in per cent; 0: it does not take
// part. The lock is held. The credits of round robin move only if there are equals to choose among:
// a lone winner pays nothing.
template <class ShareOf, class Order>
const Peer* least_of(std::span<const Peer> peers, ShareOf share_of, Order order) {
  const Peer* best = nullptr;
  bool has_equals = false;
  for (const Peer& peer : peers) {
    if (share_of(peer) == 0) continue;
    int compared = best ? order(peer, *best) : -1;
    if (compared < 0) best = &peer;
    if (compared <= 0) has_equals = compared == 0;
  }
  if (!has_equals) return best;
  WeightRound round;
  for (const Peer& peer : peers.subspan(best->index - peers[0].index)) {
    int64_t share = share_of(peer);
    if (share != 0 && order(peer, *best) == 0) round.offer(peer, share);
  }
  return round.finish();
}

}  // namespace fairlead
