// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/least_conn.h"

#include "core/upstream/round_robin.h"

namespace fairlead {

// The credits of round robin move only if there are equals to choose among. A lone winner still pays nothing.
static const Peer* least_loaded(std::span<const Peer> peers, const PickRequest& request) {
  const Peer* best = nullptr;
  bool has_equals = false;
  for (const Peer& peer : peers) {
    if (!may_try(peer, request)) continue;
    int order = best ? compare_load(peer, *best) : -1;
    if (order < 0) best = &peer;
    if (order <= 0) has_equals = order == 0;
  }
  if (!has_equals) return best;
  WeightRound round;
  for (const Peer& peer : peers.subspan(best->index - peers[0].index)) {
    if (may_try(peer, request) && compare_load(peer, *best) == 0) round.offer(peer);
  }
  return round.finish();
}

const Peer* LeastConn::choose(const PeerSet& set, const PickRequest& request) const {
  return least_loaded(set.primaries(), request);
}

const Peer* LeastConn::choose_backup(const PeerSet& set, const PickRequest& request) const {
  return least_loaded(set.backups(), request);
}

}  // namespace fairlead
