// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// From a number below the sum of weights to the peer whose share of the sum it falls into.
#pragma once

#include <span>

#include "core/upstream/peer.h"

namespace fairlead {

// `point` is less than the sum of the weights. Linear in the number of peers.
inline const Peer& peer_at_weight(std::span<const Peer> peers, uint64_t point) {
  size_t i = 0;
  while (point >= peers[i].spec.weight) point -= peers[i++].spec.weight;
  return peers[i];
}

}  // namespace fairlead
