// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/least_time.h"

#include <algorithm>

#include "core/upstream/least.h"
#include "core/upstream/slow_start.h"

namespace fairlead {
namespace {

constexpr uint64_t time_ms_max = 5000, step_ms = 20;
constexpr int64_t halvings_max = 63;

// Counts the tries that wait for what is measured.
class Inflight final : public PeerIndex {
 public:
  explicit Inflight(LeastTime::Measure measure) : until_head_(measure == LeastTime::Measure::header) {}
  void try_began(const Peer& peer, uint64_t now_ms) const override {
    ++peer.state->inflight;
    peer.state->inflight_started_ms += now_ms;
  }
  void try_replied(const Peer& peer, uint64_t started_ms) const override {
    if (until_head_) drop(peer, started_ms);
  }
  void try_ended(const Peer& peer, EndedTry ended, const TryReport&) const override {
    if (!until_head_ || !ended.replied) drop(peer, ended.started_ms);
  }

 private:
  // After a repair of the zone fewer may be counted than run.
  static void drop(const Peer& peer, uint64_t started_ms) {
    PeerState& state = *peer.state;
    if (state.inflight == 0) return;
    --state.inflight;
    state.inflight_started_ms = state.inflight ? state.inflight_started_ms - std::min(started_ms, state.inflight_started_ms) : 0;
  }
  bool until_head_;
};

uint64_t running_ms(const PeerState& state, uint64_t now_ms) {
  if (state.inflight == 0) return 0;
  uint64_t began = state.inflight_started_ms / state.inflight;
  return now_ms > began ? now_ms - began : 0;
}

}  // namespace

std::unique_ptr<PeerIndex> LeastTime::prepare(const PeerSet&) const {
  return inflight_ ? std::make_unique<Inflight>(measure_) : nullptr;
}

uint64_t LeastTime::expected_ms(const Peer& peer, const PickRequest& request) const {
  const PeerState& state = *peer.state;
  auto time = static_cast<uint64_t>(measure_ == Measure::header ? state.header_ms : state.last_byte_ms);
  int64_t idle_s = seconds_apart(request.now_s, state.checked_s);
  if (idle_s > peer.spec.fail_timeout_s) {
    int64_t halvings = idle_s / (peer.spec.fail_timeout_s + 1);
    time = halvings > halvings_max ? 0 : time >> halvings;
  }
  if (inflight_) time = std::max(time, running_ms(state, request.now_ms));
  time = time > time_ms_max ? time_ms_max : (time / step_ms + 1) * step_ms;
  return time * (1 + uint64_t{state.conns});
}

int LeastTime::compare(const Peer& a, const Peer& b, const PickRequest& request) const {
  uint64_t left = expected_ms(a, request) * b.spec.weight, right = expected_ms(b, request) * a.spec.weight;
  return left < right ? -1 : left > right;
}

const Peer* LeastTime::soonest(std::span<const Peer> peers, const PickRequest& request) const {
  auto lot = SlowStartLot::draw(request.random);
  auto share_of = [&](const Peer& peer) { return lot.takes(peer, request) ? 100 : 0; };
  auto order = [&](const Peer& a, const Peer& b) { return compare(a, b, request); };
  if (const Peer* best = least_of(peers, share_of, order)) return best;
  lot = SlowStartLot::everyone();
  return least_of(peers, share_of, order);
}

const Peer* LeastTime::choose(const PeerSet& set, const PickRequest& request) const { return soonest(set.primaries(), request); }

const Peer* LeastTime::choose_backup(const PeerSet& set, const PickRequest& request) const { return soonest(set.backups(), request); }

}  // namespace fairlead
