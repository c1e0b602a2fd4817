// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/random.h"

#include <algorithm>

#include "core/upstream/least_conn.h"
#include "core/upstream/round_robin.h"

namespace fairlead {

namespace {

struct Ranges final : PeerIndex {
  std::vector<uint64_t> ends;  // by primary: the sum of the weights up to and with it
};

}  // namespace

std::unique_ptr<PeerIndex> RandomChoice::prepare(const PeerSet& set) const {
  auto ranges = std::make_unique<Ranges>();
  uint64_t sum = 0;
  for (const Peer& peer : set.primaries()) ranges->ends.push_back(sum += peer.spec.weight);
  return ranges;
}

int RandomChoice::compare(const Peer& a, const Peer& b, const PickRequest& request) const {
  return way_ == Way::two_least_time ? time_.compare(a, b, request) : compare_load(a, b, request.now_s);
}

// One draw of the peers that may be tried; for `two` a second one follows, until two different ones are found.
const Peer* RandomChoice::choose(const PeerSet& set, const PickRequest& request) const {
  const auto* ranges = static_cast<const Ranges*>(set.index());
  FL_ASSERT(ranges);
  std::span<const Peer> peers = set.primaries();
  const Peer* first = nullptr;
  for (; peers.size() > 1 && request.state.draw.count <= draws_max; ++request.state.draw.count) {
    uint64_t point = request.random.next() % ranges->ends.back();
    auto end = std::upper_bound(ranges->ends.begin(), ranges->ends.end(), point);
    const Peer& peer = peers[static_cast<size_t>(end - ranges->ends.begin())];
    if (&peer == first || !may_try(peer, request)) continue;
    if (way_ == Way::one) return &peer;
    if (first) return compare(peer, *first, request) > 0 ? first : &peer;
    first = &peer;
  }
  return choose_round_robin(peers, request);
}

}  // namespace fairlead
