// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ewma: of two peers drawn at random, by their weights, the one with the lower cost, which is an
// average of its answering times that follows a rise at once and a fall slowly (peak EWMA), times
// the tries in flight; the first of two that cost the same. Times count until the head of a reply,
// a millisecond at least.
#pragma once

#include "core/upstream/balancer.h"

namespace fairlead {

class PeakEwma final : public Balancer {
 public:
  // Milliseconds. `decay`: after which a sample counts for 1/e. `initial`: what a new peer is taken
  // for, as a sample of the time when its state was made.
  struct Settings {
    double decay_ms = 10'000;
    double initial_ms = 30;
  };
  explicit PeakEwma(Settings settings) : settings_(settings) {}
  std::string_view name() const override { return "ewma"; }
  std::unique_ptr<PeerIndex> prepare(const PeerSet& set) const override;

  // What `peer` costs at `request.now_ms`: average * (tries in flight / weight + 1), which is
  // Finagle's for a weight of 1.
  double cost(const Peer& peer, const PickRequest& request) const;
  // Takes a sample into the average of `state`.
  static void add_sample(PeerState& state, double sample_ms, uint64_t now_ms, double decay_ms);

 protected:
  const Peer* choose(const PeerSet& set, const PickRequest& request) const override;
  const Peer* choose_backup(const PeerSet& set, const PickRequest& request) const override;

 private:
  const Peer* cheaper_of_two(std::span<const Peer> peers, const PickRequest& request) const;
  Settings settings_;
};

}  // namespace fairlead
