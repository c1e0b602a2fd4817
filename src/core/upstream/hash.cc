// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/hash.h"

#include <algorithm>
#include <charconv>

#include "core/base/hash.h"
#include "core/upstream/round_robin.h"
#include "core/upstream/weight_walk.h"

namespace fairlead {

// The key's hash for the n-th time: from the second on, n stands before the key.
static uint32_t hash_key_again(std::string_view key, uint32_t times_before) {
  uint32_t crc = 0;
  if (times_before > 0) {
    char digits[10];
    char* end = std::to_chars(digits, digits + sizeof digits, times_before).ptr;
    crc = crc32({digits, static_cast<size_t>(end - digits)});
  }
  return crc32(key, crc) >> 16 & 0x7fff;
}

const Peer* KeyHash::choose(const PeerSet& set, const PickRequest& request) const {
  PickState& state = request.state;
  bool keyed = !request.key.empty() && set.primaries().size() > 1;
  while (keyed && state.draw.count <= draws_max) {
    state.draw.hash += hash_key_again(request.key, state.draw.rehash++);
    const Peer& peer = peer_at_weight(set.primaries(), state.draw.hash % set.total_weight());
    if (may_try(peer, request)) return &peer;
    ++state.draw.count;
  }
  return choose_round_robin(set.primaries(), request);
}

namespace {

// Points name the first primary with their server name; the others with that name follow through `same_server`.
struct Ring final : PeerIndex {
  HashRing points;
  std::vector<int32_t> same_server;  // by peer: the next primary with the same server name, or -1
};

}  // namespace

std::unique_ptr<PeerIndex> ConsistentHash::prepare(const PeerSet& set) const {
  auto ring = std::make_unique<Ring>();
  std::span<const Peer> peers = set.primaries();
  ring->same_server.assign(peers.size(), -1);
  std::vector<uint32_t> weights(peers.size());  // by first peer of a name: the largest with that name, whose points include the others'
  for (size_t i = 0; i < peers.size(); ++i) {
    size_t first = 0;
    while (peers[first].spec.server != peers[i].spec.server) ++first;
    weights[first] = std::max(weights[first], peers[i].spec.weight);
    if (first != i) {
      size_t last = first;
      while (ring->same_server[last] >= 0) last = static_cast<size_t>(ring->same_server[last]);
      ring->same_server[last] = static_cast<int32_t>(i);
    }
  }
  for (size_t i = 0; i < peers.size(); ++i)
    if (weights[i] > 0) ring->points.add(peers[i].spec.server, weights[i], static_cast<uint32_t>(i));
  ring->points.finish();
  return ring;
}

const Peer* ConsistentHash::choose(const PeerSet& set, const PickRequest& request) const {
  PickState& state = request.state;
  std::span<const Peer> peers = set.primaries();
  const auto* ring = static_cast<const Ring*>(set.index());
  FL_ASSERT(ring);
  bool keyed = !request.key.empty() && peers.size() > 1;
  if (keyed && state.draw.rehash == 0) {
    state.draw.hash = static_cast<uint32_t>(ring->points.find(crc32(request.key)));
    state.draw.rehash = 1;
  }
  while (keyed && state.draw.count <= draws_max) {
    WeightRound round;
    auto at = static_cast<int32_t>(ring->points[state.draw.hash % ring->points.size()].server);
    for (; at >= 0; at = ring->same_server[static_cast<size_t>(at)]) {
      const Peer& peer = peers[static_cast<size_t>(at)];
      if (may_try(peer, request)) round.offer(peer, peer.share_percent(request.now_s));
    }
    if (const Peer* peer = round.finish()) return peer;
    ++state.draw.hash;
    ++state.draw.count;
  }
  return choose_round_robin(peers, request);
}

}  // namespace fairlead
