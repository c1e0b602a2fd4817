// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/least_conn.h"

#include "core/upstream/least.h"

namespace fairlead {

static const Peer* least_loaded(std::span<const Peer> peers, const PickRequest& request) {
  auto share_of = [&](const Peer& peer) { return may_try(peer, request) ? peer.share_percent(request.now_s) : 0; };
  return least_of(peers, share_of, [&](const Peer& a, const Peer& b) { return compare_load(a, b, request.now_s); });
}

const Peer* LeastConn::choose(const PeerSet& set, const PickRequest& request) const {
  return least_loaded(set.primaries(), request);
}

const Peer* LeastConn::choose_backup(const PeerSet& set, const PickRequest& request) const {
  return least_loaded(set.backups(), request);
}

}  // namespace fairlead
