// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/peer.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "core/base/hash.h"

namespace fairlead {

// What tells peers of a group from each other; twins are called the same.
using PeerNames = std::pair<std::string_view, std::string_view>;
static PeerNames names_of(const Peer& peer) { return {peer.spec.name, peer.spec.server}; }

PeerSet::PeerSet(std::vector<PeerSpec> specs, const PeerShare* share) : share_(share) {
  std::stable_partition(specs.begin(), specs.end(), [](const PeerSpec& spec) { return !spec.backup; });
  peers_.reserve(specs.size());
  for (PeerSpec& spec : specs) {
    FL_ASSERT(spec.weight > 0);
    if (!spec.backup) {
      ++primary_count_;
      total_weight_ += spec.weight;
    }
    if (!spec.down && !spec.drain) ++try_count_;
    Peer& peer = peers_.emplace_back();
    peer.index = static_cast<uint32_t>(peers_.size() - 1);
    peer.spec = std::move(spec);
    peer.name_hash = hash_bytes(peer.spec.name);
  }
}

PeerSet::PeerSet(std::vector<PeerSpec> specs) : PeerSet(std::move(specs), nullptr) {
  for (Peer& peer : peers_) {
    peer.state = own_states_.emplace_back(std::make_shared<PeerState>()).get();
    peer.state->set_weight(peer.spec.weight);
  }
}

Result<PeerSet> PeerSet::make_shared(std::vector<PeerSpec> specs, const PeerShare& share) {
  PeerSet set(std::move(specs), &share);
  set.maker_pid_ = getpid();
  std::map<PeerNames, uint32_t> twins;
  std::vector<PeerKey> keys;
  for (const Peer& peer : set.peers_)
    keys.push_back(make_peer_key({peer.spec.address, peer.spec.name, peer.spec.server, share.group, twins[names_of(peer)]++}));
  bool complete = true;
  {
    PeerGuard guard(set);
    for (Peer& peer : set.peers_) {
      peer.state = share.table->acquire(keys[peer.index], peer.spec.weight, share.slot);
      complete = complete && peer.state;
    }
  }
  if (!complete) return Error{Fault::exhausted, Side::local, 0, "no room for the peers in the zone"};
  return set;
}

PeerSet::PeerSet(PeerSet&& other) noexcept
    : peers_(std::move(other.peers_)),
      own_states_(std::move(other.own_states_)),
      gone_(std::move(other.gone_)),
      share_(std::exchange(other.share_, nullptr)),
      maker_pid_(other.maker_pid_),
      primary_count_(std::exchange(other.primary_count_, 0)),
      try_count_(other.try_count_),
      total_weight_(other.total_weight_),
      index_(std::move(other.index_)) {
  other.peers_.clear();
}

PeerSet::~PeerSet() {
  if (!share_ || maker_pid_ != getpid()) return;
  PeerGuard guard(*this);
  for (Peer& peer : peers_) {
    if (peer.state) share_->table->release(peer.state, share_->slot);
  }
}

void PeerSet::carry_over(const PeerSet& before) {
  if (share_) return;
  std::multimap<PeerNames, std::shared_ptr<PeerState>> known;  // twins in their order
  PeerGuard guard(before);
  for (const Peer& old : before.peers_) {
    auto at = known.emplace(names_of(old), nullptr);
    if (!before.share_) {
      at->second = before.own_states_[old.index];
    } else {
      at->second = std::make_shared<PeerState>(*old.state);
      at->second->lose_conns(0);
    }
  }
  for (const GonePeer& gone : before.gone_)
    if (gone.state->conns > 0) known.emplace(PeerNames(gone.name, gone.server), gone.state);
  for (Peer& peer : peers_) {
    auto at = known.lower_bound(names_of(peer));
    if (at == known.end() || at->first != names_of(peer)) continue;
    own_states_[peer.index] = std::move(at->second);
    known.erase(at);
    peer.state = own_states_[peer.index].get();
    peer.state->set_weight(peer.spec.weight);
  }
  for (auto& [names, state] : known) {
    if (state->conns == 0) continue;
    gone_.push_back({std::string(names.first), std::string(names.second), std::move(state)});
  }
}

void PeerSet::begin_try(const Peer& peer, uint64_t now_ms) const {
  ++peer.state->requests;
  if (share_) {
    share_->table->count_conn(peer.state, share_->slot);
  } else {
    ++peer.state->conns;
  }
  if (index_) index_->try_began(peer, now_ms);
}

void PeerSet::note_reply(const Peer& peer, uint64_t started_ms) const {
  PeerGuard guard(*this);
  if (index_) index_->try_replied(peer, started_ms);
}

bool PeerSet::end_try(const Peer& peer, const TryReport& report, PeerIndex::EndedTry ended) const {
  PeerGuard guard(*this);
  if (share_) {
    share_->table->discount_conn(peer.state, share_->slot);
  } else {
    FL_ASSERT(peer.state->conns > 0);
    --peer.state->conns;
  }
  if (index_) index_->try_ended(peer, ended, report);
  if (report.end == TryEnd::failed) return note_failure(peer, report.now_s);
  if (report.end == TryEnd::ok) note_success(peer, report);
  return false;
}

bool PeerSet::note_failure(const Peer& peer, int64_t now_s) const {
  PeerState& state = *peer.state;
  ++state.failures;
  if (is_single()) return false;
  ++state.fails;
  state.accessed_s = state.checked_s = now_s;
  if (peer.spec.max_fails == 0) return false;
  state.effective_weight = std::max<int64_t>(0, state.effective_weight - peer.spec.weight / peer.spec.max_fails);
  return state.fails >= peer.spec.max_fails;
}

// A success counts as the end of the trouble only if the peer was picked again after the last failure by a probe (checked_s moved).
void PeerSet::note_success(const Peer& peer, const TryReport& report) const {
  PeerState& state = *peer.state;
  if (!is_single() && state.accessed_s != state.checked_s) {
    if (peer.spec.max_fails > 0 && state.fails >= peer.spec.max_fails) state.back_s = report.now_s;
    state.fails = 0;
  }
  auto sample = [](double& average, int64_t ms) {
    if (ms < 0) return;
    average = average == 0 ? static_cast<double>(ms) : 0.95 * average + 0.05 * static_cast<double>(ms);
  };
  sample(state.header_ms, report.header_ms);
  sample(state.last_byte_ms, report.last_byte_ms);
}

void PeerSet::set_veto(const Peer& peer, uint32_t bit, bool on, int64_t now_s) const {
  PeerGuard guard(*this);
  uint32_t before = peer.state->vetoes;
  peer.state->vetoes = on ? before | bit : before & ~bit;
  if (before != 0 && peer.state->vetoes == 0) peer.state->back_s = now_s;
}

}  // namespace fairlead
