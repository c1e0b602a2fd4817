// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Peers of a group: PeerSpec (as configured or resolved), Peer (spec and state), PeerSet (one version of a group's peers), PeerLease (a try
// in flight). Which peer serves next is a Balancer's; parsing is the configuration's; names are resolved in event. A PeerSet owns its
// specs; the states are a zone's, found by key, or those of the sets that have the peer.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/addr.h"
#include "core/base/error.h"
#include "core/upstream/peer_state.h"

namespace fairlead {

struct PeerSpec {
  Addr address;
  std::string name;    // as in logs and $upstream_addr: "127.0.0.1:80", "unix:/path"
  uint32_t weight = 1;
  uint32_t max_conns = 0;  // 0: any number
  uint32_t max_fails = 1;  // 0: failures are not counted
  bool backup = false;
  bool down = false;
  bool drain = false;  // only what is bound to it goes there
  int64_t fail_timeout_s = 10;
  int64_t slow_start_s = 0;  // how long its share grows after it came back; 0: the whole share at once
  std::string server;  // the address of the `server` line as written, shared by all addresses of a name
  std::string route;   // by which sessions are bound to it; in groups without any it may stay empty
};

// The lock around shared states: held for nanoseconds, never across a wait.
class PeerLock {
 public:
  virtual void lock() = 0;
  virtual void unlock() = 0;

 protected:
  ~PeerLock() = default;
};
// Any lock with lock() and unlock() as a PeerLock; the lock outlives it.
template <class Lock>
class PeerLockOn final : public PeerLock {
 public:
  explicit PeerLockOn(Lock& lock) : lock_(lock) {}
  void lock() override { lock_.lock(); }
  void unlock() override { lock_.unlock(); }

 private:
  Lock& lock_;
};

// How a process takes part in shared states. Outlives the sets made with it. The worker sets its slot after the fork.
struct PeerShare {
  PeerTable* table = nullptr;
  PeerLock* lock = nullptr;
  uint32_t slot = 0;
  std::string_view group = {};  // by whose name its peers are told from those of others
};

// Seconds between two moments, whichever is the later.
constexpr int64_t seconds_apart(int64_t a_s, int64_t b_s) { return a_s < b_s ? b_s - a_s : a_s - b_s; }

// One peer of one version of a set. The state is behind a pointer: const peers count.
struct Peer {
  PeerState* state = nullptr;
  uint32_t index = 0;      // in PeerSet::all()
  uint64_t name_hash = 0;  // hash_bytes() of spec.name
  PeerSpec spec;

  // Failed max_fails times, and the ban of fail_timeout is not over.
  bool is_banned(int64_t now_s) const {
    return spec.max_fails > 0 && state->fails >= spec.max_fails && seconds_apart(now_s, state->checked_s) <= spec.fail_timeout_s;
  }
  bool is_full() const { return spec.max_conns > 0 && state->conns >= spec.max_conns; }
  // May what is bound to it (a sticky session) go there?
  bool can_serve_bound(int64_t now_s) const { return !spec.down && state->vetoes == 0 && !is_banned(now_s) && !is_full(); }
  bool can_serve(int64_t now_s) const { return !spec.drain && can_serve_bound(now_s); }
  // Taken by a balancer that found it eligible: at most one probe per fail_timeout.
  void note_picked(int64_t now_s) const {
    if (seconds_apart(now_s, state->checked_s) > spec.fail_timeout_s) state->checked_s = now_s;
  }
  // How much of its weight it gets now, in per cent: less than all of it during slow_start.
  int64_t share_percent(int64_t now_s) const {
    if (spec.slow_start_s == 0 || state->back_s == 0 || state->back_s - now_s > spec.slow_start_s) return 100;
    return std::clamp<int64_t>(std::max<int64_t>(now_s - state->back_s, 1) * 100 / spec.slow_start_s, share_percent_min, 100);
  }
  // The weight to divide loads by, in hundredths.
  uint64_t weight_now(int64_t now_s) const { return spec.weight * static_cast<uint64_t>(share_percent(now_s)); }

  static constexpr int64_t share_percent_min = 10;
};

enum class TryEnd : uint8_t {
  ok,       // answered; also with a status that means "try the next" without being a failure (403, 404)
  failed,   // a failure in the sense of max_fails
  unknown,  // given up without learning anything: the client left
};

// How a try ended. Times of the try in milliseconds, negative: not reached; counted for TryEnd::ok only.
struct TryReport {
  TryEnd end = TryEnd::unknown;
  int64_t now_s = 0;
  int64_t header_ms = -1;
  int64_t last_byte_ms = -1;
  uint64_t now_ms = 0;  // CLOCK_MONOTONIC
};

// What a balancer prepares once per version of a set (a hash ring, ranges), and where one that measures hears of tries. Belongs to that
// version. The calls come under the set's lock, after the peer's own counters.
class PeerIndex {
 public:
  virtual ~PeerIndex() = default;
  virtual void try_began(const Peer&, uint64_t /*now_ms*/) const {}
  // The head of its reply is there. `started_ms` as try_began() was told.
  virtual void try_replied(const Peer&, uint64_t /*started_ms*/) const {}
  // `replied`: try_replied() came before.
  struct EndedTry {
    uint64_t started_ms;
    bool replied;
  };
  virtual void try_ended(const Peer&, EndedTry, const TryReport&) const {}
};

// One version of a group's peers: primaries in the order given, then backups. Immutable but for the states. Held by Live<PeerSet>,
// pinned by each request that may still report to it.
class PeerSet {
 public:
  // States of its own, for this process.
  explicit PeerSet(std::vector<PeerSpec> specs);
  // States in `share`, found by key. Fault::exhausted: no room for all of them (then none is held).
  static Result<PeerSet> make_shared(std::vector<PeerSpec> specs, const PeerShare& share);
  PeerSet(PeerSet&& other) noexcept;
  PeerSet& operator=(PeerSet&&) = delete;
  // References to shared states go back, by the process that took them only: the copy that a fork made does nothing.
  ~PeerSet();

  std::span<const Peer> all() const { return peers_; }
  std::span<const Peer> primaries() const { return {peers_.data(), primary_count_}; }
  std::span<const Peer> backups() const { return all().subspan(primary_count_); }
  size_t size() const { return peers_.size(); }
  bool is_shared() const { return share_ != nullptr; }
  // One primary and no backup: never banned.
  bool is_single() const { return peers_.size() == 1; }
  // Nothing that was seen of it keeps requests from it. It may have all its connections in use, be
  // down or drain.
  bool is_well(const Peer& peer, int64_t now_s) const { return (is_single() || !peer.is_banned(now_s)) && peer.state->vetoes == 0; }
  // Sum over the primaries, those that are down included.
  uint64_t total_weight() const { return total_weight_; }
  // How many tries a request has at most: the peers that are not down.
  size_t try_count() const { return try_count_; }

  // Peers that `before` had too go on with their state, which the tries still running there report
  // to; if that lies in a zone, with a copy. So do those that an earlier one had, as long as tries
  // run there. Nothing if the states of this set do: there they are found by key. For a set that has
  // not been used.
  void carry_over(const PeerSet& before);

  void set_index(std::unique_ptr<PeerIndex> index) { index_ = std::move(index); }
  const PeerIndex* index() const { return index_.get(); }

  // Begins a try, at `now_ms` (CLOCK_MONOTONIC). The lock is held by the caller (PeerGuard).
  void begin_try(const Peer& peer, uint64_t now_ms = 0) const;
  // For methods that measure; takes the lock if there is one.
  void note_reply(const Peer& peer, uint64_t started_ms) const;
  // Ends it; takes the lock. True: this failure was the one that bans the peer (a log line is due).
  bool end_try(const Peer& peer, const TryReport& report, PeerIndex::EndedTry ended = {}) const;
  // Sets or clears one veto bit; takes the lock. A peer without vetoes is back: slow_start begins at `now_s`.
  void set_veto(const Peer& peer, uint32_t bit, bool on, int64_t now_s = 0) const;

 private:
  friend class PeerGuard;
  PeerSet(std::vector<PeerSpec> specs, const PeerShare* share);
  bool note_failure(const Peer& peer, int64_t now_s) const;
  void note_success(const Peer& peer, const TryReport& report) const;

  // A peer of an earlier version, to which tries ran when this one began.
  struct GonePeer {
    std::string name, server;
    std::shared_ptr<PeerState> state;
  };

  std::vector<Peer> peers_;
  std::vector<std::shared_ptr<PeerState>> own_states_;  // by peer; none if they lie in a zone
  std::vector<GonePeer> gone_;
  const PeerShare* share_ = nullptr;
  int maker_pid_ = 0;
  size_t primary_count_ = 0;
  size_t try_count_ = 0;
  uint64_t total_weight_ = 0;
  std::unique_ptr<PeerIndex> index_;
};

// Holds the lock of a set's states, if they have one.
class [[nodiscard]] PeerGuard {
 public:
  explicit PeerGuard(const PeerSet& set) : lock_(set.share_ ? set.share_->lock : nullptr) {
    if (lock_) lock_->lock();
  }
  ~PeerGuard() {
    if (lock_) lock_->unlock();
  }
  PeerGuard(const PeerGuard&) = delete;
  PeerGuard& operator=(const PeerGuard&) = delete;

 private:
  PeerLock* lock_;
};

// A try in flight: counted in the peer's connections until finish(), or until destroyed (TryEnd::unknown). The set outlives it.
class PeerLease {
 public:
  PeerLease() = default;
  // Takes over a try that begin_try() counted, at `started_ms`.
  PeerLease(const PeerSet& set, const Peer& peer, uint64_t started_ms = 0) : set_(&set), peer_(&peer), try_{started_ms, false} {}
  PeerLease(PeerLease&& other) noexcept : set_(other.set_), peer_(std::exchange(other.peer_, nullptr)), try_(other.try_) {}
  PeerLease& operator=(PeerLease&& other) noexcept {
    if (this != &other) {
      finish({});
      set_ = other.set_;
      peer_ = std::exchange(other.peer_, nullptr);
      try_ = other.try_;
    }
    return *this;
  }
  ~PeerLease() { finish({}); }

  explicit operator bool() const { return peer_ != nullptr; }
  const Peer& operator*() const { return *peer_; }
  const Peer* operator->() const { return peer_; }
  // The head of the reply is there.
  void note_reply() {
    if (!set_->index() || std::exchange(try_.replied, true)) return;
    set_->note_reply(*peer_, try_.started_ms);
  }
  // True: the peer is banned from now on. Nothing on an empty lease.
  bool finish(const TryReport& report) {
    const Peer* peer = std::exchange(peer_, nullptr);
    return peer && set_->end_try(*peer, report, try_);
  }

 private:
  const PeerSet* set_ = nullptr;
  const Peer* peer_ = nullptr;
  PeerIndex::EndedTry try_ = {};
};

}  // namespace fairlead
