// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/peak_ewma.h"

#include <cmath>

namespace fairlead {
namespace {

// What is left of an average after a time without samples. Clocks of two processors may differ by a little.
double decayed(const PeerState& state, uint64_t now_ms, double decay_ms) {
  uint64_t age_ms = now_ms > state.peak_at_ms ? now_ms - state.peak_at_ms : 0;
  return state.peak_ms * std::exp(-static_cast<double>(age_ms) / decay_ms);
}

class Samples final : public PeerIndex {
 public:
  explicit Samples(double decay_ms) : decay_ms_(decay_ms) {}
  void try_ended(const Peer& peer, EndedTry, const TryReport& report) const override {
    if (report.end != TryEnd::ok || report.header_ms < 0) return;
    PeakEwma::add_sample(*peer.state, static_cast<double>(report.header_ms), report.now_ms, decay_ms_);
  }

 private:
  double decay_ms_;
};

}  // namespace

std::unique_ptr<PeerIndex> PeakEwma::prepare(const PeerSet&) const { return std::make_unique<Samples>(settings_.decay_ms); }

void PeakEwma::add_sample(PeerState& state, double sample_ms, uint64_t now_ms, double decay_ms) {
  double old = state.peak_at_ms ? decayed(state, now_ms, decay_ms) : 0;
  if (sample_ms > old) {
    state.peak_ms = sample_ms;
  } else {
    double kept = std::exp(-static_cast<double>(now_ms > state.peak_at_ms ? now_ms - state.peak_at_ms : 0) / decay_ms);
    state.peak_ms = state.peak_ms * kept + sample_ms * (1 - kept);
  }
  state.peak_at_ms = now_ms;
}

double PeakEwma::cost(const Peer& peer, const PickRequest& request) const {
  const PeerState& state = *peer.state;
  double average = state.peak_at_ms ? decayed(state, request.now_ms, settings_.decay_ms) : settings_.initial_ms;
  return average * (1 + static_cast<double>(state.conns)) / static_cast<double>(peer.weight_now(request.now_s));
}

const Peer* PeakEwma::cheaper_of_two(std::span<const Peer> peers, const PickRequest& request) const {
  uint32_t ready = 0;
  for (const Peer& peer : peers) ready += may_try(peer, request);
  if (ready == 0) return nullptr;
  // Two different ranks among those that are ready, each pair as likely as any other.
  uint32_t first = request.random.below(ready), second = ready > 1 ? request.random.below(ready - 1) : first;
  if (ready > 1 && second >= first) ++second;
  const Peer* best = nullptr;
  uint32_t rank = 0;
  for (const Peer& peer : peers) {
    if (!may_try(peer, request)) continue;
    bool is_drawn = rank == first || rank == second;
    ++rank;
    if (is_drawn && (!best || cost(peer, request) < cost(*best, request))) best = &peer;
  }
  return best;
}

const Peer* PeakEwma::choose(const PeerSet& set, const PickRequest& request) const { return cheaper_of_two(set.primaries(), request); }

const Peer* PeakEwma::choose_backup(const PeerSet& set, const PickRequest& request) const {
  return cheaper_of_two(set.backups(), request);
}

}  // namespace fairlead
