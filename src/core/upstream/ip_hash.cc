// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/ip_hash.h"

#include "core/upstream/round_robin.h"
#include "core/upstream/weight_walk.h"

namespace fairlead {

static std::string_view hashed_octets(const Addr* client) {
  if (client && client->family() == Addr::Family::inet) return client->bytes().substr(0, 3);
  if (client && client->family() == Addr::Family::inet6) return client->bytes();
  return std::string_view("\0\0\0", 3);  // a unix socket: all clients alike
}

const Peer* IpHash::choose(const PeerSet& set, const PickRequest& request) const {
  PickState& state = request.state;
  if (state.draw.rehash++ == 0) state.draw.hash = 89;
  std::string_view octets = hashed_octets(request.client);
  while (set.primaries().size() > 1 && state.draw.count <= draws_max) {
    for (char octet : octets) state.draw.hash = (state.draw.hash * 113 + static_cast<unsigned char>(octet)) % 6271;
    const Peer& peer = peer_at_weight(set.primaries(), state.draw.hash % set.total_weight());
    if (may_try(peer, request)) return &peer;
    ++state.draw.count;
  }
  return choose_round_robin(set.primaries(), request);
}

}  // namespace fairlead
