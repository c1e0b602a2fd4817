// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// least_conn: the peer with the fewest connections for its weight; round robin among equals.
#pragma once

#include "core/upstream/balancer.h"

namespace fairlead {

// Negative: `a` is less loaded than `b` for its weight; 0: equal.
inline int compare_load(const Peer& a, const Peer& b, int64_t now_s) {
  uint64_t left = a.state->conns * b.weight_now(now_s), right = b.state->conns * a.weight_now(now_s);
  return left < right ? -1 : left > right;
}

class LeastConn final : public Balancer {
 public:
  std::string_view name() const override { return "least_conn"; }

 protected:
  const Peer* choose(const PeerSet& set, const PickRequest& request) const override;
  const Peer* choose_backup(const PeerSet& set, const PickRequest& request) const override;
};

}  // namespace fairlead
