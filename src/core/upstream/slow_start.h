// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// slow_start where a weight cannot say it: a method that compares times would give a peer with a
// tenth of its weight nothing at all while nobody is loaded. There its share is how likely it is to
// take part in a pick.
#pragma once

#include "core/upstream/balancer.h"

namespace fairlead {

// One lot for all peers of a pick, so that asking twice gives the same answer.
class SlowStartLot {
 public:
  static SlowStartLot draw(Random& random) { return SlowStartLot(random.below(100)); }
  // For a pick in which nobody took part.
  static SlowStartLot everyone() { return SlowStartLot(0); }
  // May the request try `peer`, and does it take part?
  bool takes(const Peer& peer, const PickRequest& request) const {
    return may_try(peer, request) && peer.share_percent(request.now_s) > percent_;
  }

 private:
  explicit SlowStartLot(int64_t percent) : percent_(percent) {}
  int64_t percent_;
};

}  // namespace fairlead
