// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Smooth weighted round robin, the default method, and the last resort of the keyed and random ones.
#pragma once

#include <span>

#include "core/upstream/balancer.h"

namespace fairlead {

// The peer with the most credit among those the request may try, or nullptr. The lock is held.
const Peer* choose_round_robin(std::span<const Peer> peers, const PickRequest& request);

// One round of the credit arithmetic over the peers a method offers: each earns its effective weight (in hundredths, so that slow_start can
// give it a share of that, in per cent), the winner pays the sum.
class WeightRound {
 public:
  void offer(const Peer& peer, int64_t share) {
    PeerState& state = *peer.state;
    int64_t earned = state.effective_weight * share;
    state.current_weight += earned;
    total_ += earned;
    // A peer that failed gets its weight back step by step.
    if (state.effective_weight < peer.spec.weight) ++state.effective_weight;
    if (!best_ || state.current_weight > best_->state->current_weight) best_ = &peer;
  }
  const Peer* finish() {
    if (best_) best_->state->current_weight -= total_;
    return best_;
  }
  // The winner is one of those offered, whatever its credit.
  void finish_with(const Peer& winner) { winner.state->current_weight -= total_; }

 private:
  const Peer* best_ = nullptr;
  int64_t total_ = 0;
};

class RoundRobin final : public Balancer {
 public:
  std::string_view name() const override { return "round_robin"; }

 protected:
  const Peer* choose(const PeerSet& set, const PickRequest& request) const override;
  // Sessions count, so that peers with many of them get fewer new ones.
  void note_bound(const PeerSet& set, const PickRequest& request, const Peer& peer) const override;
};

}  // namespace fairlead
