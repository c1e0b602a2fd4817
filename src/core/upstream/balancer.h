// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Balancer: which peer serves the next try of a request. What a request remembers between its tries is PickState; what a method prepares
// for one version of a set is a PeerIndex. Nothing here waits, retries or knows a protocol. Balancers hold no state that changes: one
// serves all workers of a generation.
#pragma once

#include <memory>
#include <string_view>

#include "core/base/addr.h"
#include "core/base/arena.h"
#include "core/base/random.h"
#include "core/upstream/peer.h"

namespace fairlead {

// The peers of one set that a request has tried: a bitmap, in place for sets of up to 64.
class TriedPeers {
 public:
  // Before the first use, with the size of the set; again is free. The arena outlives this.
  void prepare(size_t peers, Arena& arena) {
    if (peers > 64 && !more_) more_ = arena.make_array<uint64_t>((peers - 1) / 64).data();
  }
  bool contains(uint32_t index) const { return word(index) >> (index & 63) & 1; }
  void add(uint32_t index) {
    count_ += !contains(index);
    word(index) |= bit(index);
  }
  void remove(uint32_t index) {
    count_ -= contains(index);
    word(index) &= ~bit(index);
  }
  size_t count() const { return count_; }

 private:
  static uint64_t bit(uint32_t index) { return uint64_t{1} << (index & 63); }
  const uint64_t& word(uint32_t index) const { return index < 64 ? first_ : more_[index / 64 - 1]; }
  uint64_t& word(uint32_t index) { return index < 64 ? first_ : more_[index / 64 - 1]; }
  uint64_t first_ = 0;
  uint64_t* more_ = nullptr;
  size_t count_ = 0;
};

// What one request remembers between its picks from one version of one set. Another set (or version): a new one.
struct PickState {
  TriedPeers tried;
  bool on_backups = false;  // the primaries are given up
  // Where a keyed or random method goes on.
  struct Draw {
    uint32_t count = 0;   // over all picks
    uint32_t rehash = 0;  // times the key was hashed (or the method asked)
    uint32_t hash = 0;    // running value, or the place on the ring
  } draw;
};

struct PickRequest {
  PickState& state;
  Arena& arena;       // of the request
  Random& random;     // of the worker
  int64_t now_s;      // cached clock, seconds since 1970
  std::string_view key = {};     // of `hash`
  const Addr* client = nullptr;  // of `ip_hash`; nullptr as a unix socket
  std::string_view bound = {};   // the route of the peer that the session is bound to; empty: to none
  uint64_t now_ms = 0;           // CLOCK_MONOTONIC
};

enum class PickStatus : uint8_t {
  picked,
  all_tried,      // every peer that is not down had its try: the last answer goes to the client
  none_eligible,  // others are left, but banned, full or down: "no live upstreams"
};

inline bool may_try(const Peer& peer, const PickRequest& request) {
  return !request.state.tried.contains(peer.index) && peer.can_serve(request.now_s);
}

struct Pick {
  PickStatus status = PickStatus::none_eligible;
  PeerLease lease;  // empty unless picked
};

class Balancer {
 public:
  virtual ~Balancer() = default;
  // As in the configuration: "round_robin", "least_conn", ...
  virtual std::string_view name() const = 0;
  // May servers below it be backups or start slowly? The keyed and random methods refuse both, as in nginx.
  virtual bool allows_backups() const { return true; }
  // Called once for each version of a set, before its first pick; the result goes to set.set_index().
  virtual std::unique_ptr<PeerIndex> prepare(const PeerSet&) const { return nullptr; }

  // Picks an eligible peer that this request has not tried: the one it is bound to, or by the method, backups if no primary is left. Counts
  // its connection.
  Pick pick(const PeerSet& set, const PickRequest& request) const;

 protected:
  // One of the primaries, or nullptr. At least two peers; the lock is held. The peer's accounts are the caller's, weights the method's own.
  virtual const Peer* choose(const PeerSet& set, const PickRequest& request) const = 0;
  virtual const Peer* choose_backup(const PeerSet& set, const PickRequest& request) const;
  // `peer` was not chosen: the request is bound to it. The lock is held.
  virtual void note_bound(const PeerSet&, const PickRequest&, const Peer& /*peer*/) const {}
};

// The most draws of a keyed or random method within one request; then round robin decides.
inline constexpr uint32_t draws_max = 20;

}  // namespace fairlead
