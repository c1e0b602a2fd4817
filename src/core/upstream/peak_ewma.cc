// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/peak_ewma.h"

#include <algorithm>
#include <cmath>

#include "core/base/clock.h"
#include "core/upstream/slow_start.h"

namespace fairlead {
namespace {

// Samples are whole milliseconds of a clock that is read once a turn: what is below is not told
// apart, or load would not count with peers that answer at once.
constexpr double least_ms = 1;

// What is left of `value`, which held at state.peak_at_ms. Clocks of two processors may differ by a
// little.
double decayed(double value, const PeerState& state, uint64_t now_ms, double decay_ms) {
  uint64_t age_ms = now_ms > state.peak_at_ms ? now_ms - state.peak_at_ms : 0;
  return value * std::exp(-static_cast<double>(age_ms) / decay_ms);
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

std::unique_ptr<PeerIndex> PeakEwma::prepare(const PeerSet& set) const {
  PeerGuard guard(set);
  for (const Peer& peer : set.all())
    if (peer.state->peak_at_ms == 0) peer.state->peak_at_ms = clock().now_ms();
  return std::make_unique<Samples>(settings_.decay_ms);
}

void PeakEwma::add_sample(PeerState& state, double sample_ms, uint64_t now_ms, double decay_ms) {
  sample_ms = std::max(sample_ms, least_ms);
  if (sample_ms > decayed(state.peak_ms, state, now_ms, decay_ms)) {
    state.peak_ms = sample_ms;
  } else {
    double kept = std::exp(-static_cast<double>(now_ms > state.peak_at_ms ? now_ms - state.peak_at_ms : 0) / decay_ms);
    state.peak_ms = state.peak_ms * kept + sample_ms * (1 - kept);
  }
  state.peak_at_ms = now_ms;
}

double PeakEwma::cost(const Peer& peer, const PickRequest& request) const {
  const PeerState& state = *peer.state;
  double average = decayed(state.peak_ms > 0 ? state.peak_ms : settings_.initial_ms, state, request.now_ms, settings_.decay_ms);
  return std::max(average, least_ms) * (1 + static_cast<double>(state.conns) / peer.spec.weight);
}

// One of those that take part, but `other`, each as often as its weight says; nullptr: there is
// none.
static const Peer* draw(std::span<const Peer> peers, const PickRequest& request, SlowStartLot lot, const Peer* other) {
  uint64_t total = 0;
  for (const Peer& peer : peers) total += &peer != other && lot.takes(peer, request) ? peer.spec.weight : 0;
  if (total == 0) return nullptr;
  uint64_t drawn = request.random.next() % total;
  for (const Peer& peer : peers) {
    if (&peer == other || !lot.takes(peer, request)) continue;
    if (drawn < peer.spec.weight) return &peer;
    drawn -= peer.spec.weight;
  }
  return nullptr;
}

const Peer* PeakEwma::cheaper_of_two(std::span<const Peer> peers, const PickRequest& request) const {
  auto lot = SlowStartLot::draw(request.random);
  const Peer* first = draw(peers, request, lot, nullptr);
  if (!first) {
    lot = SlowStartLot::everyone();
    first = draw(peers, request, lot, nullptr);
  }
  if (!first) return nullptr;
  bool is_unknown = first->state->peak_ms == 0 && first->state->conns == 0;
  if (is_unknown) return first;  // one try tells; the initial time alone would keep it idle beside peers that answer at once
  const Peer* second = draw(peers, request, lot, first);
  return second && cost(*second, request) < cost(*first, request) ? second : first;
}

const Peer* PeakEwma::choose(const PeerSet& set, const PickRequest& request) const { return cheaper_of_two(set.primaries(), request); }

const Peer* PeakEwma::choose_backup(const PeerSet& set, const PickRequest& request) const {
  return cheaper_of_two(set.backups(), request);
}

}  // namespace fairlead
