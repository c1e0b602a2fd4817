// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PeerState: what changes about a peer while it serves; PeerTable: where states lie when workers share them (a zone's memory), keyed by
// address and names so that they outlive a reload one by one. Plain numbers and offsets, no pointers: every process maps the same bytes.
// The zone owns the memory; PeerSets hold one reference per state. Locking is the caller's (PeerGuard).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/addr.h"
#include "core/base/error.h"

namespace fairlead {

// Digest of what names a peer: the same in the next generation for the same peer. `group`: groups that share a table share no peers.
// `twin`: how many before it in the group are called the same.
using PeerKey = std::array<unsigned char, 16>;
struct PeerName {
  const Addr& address;
  std::string_view name, server, group;
  uint32_t twin = 0;
};
PeerKey make_peer_key(const PeerName& of);

// Guarded by the set's lock if shared. Times in seconds since 1970: the clock may be set back, and then one further ahead than the span it
// is measured for is over like one further behind.
struct PeerState {
  int64_t current_weight = 0;
  int64_t effective_weight = 0;
  uint32_t weight = 0;  // nominal one that the two above were made for
  uint32_t conns = 0;   // tries in flight, not idle connections
  uint32_t fails = 0;
  uint32_t vetoes = 0;  // bits of those who say no: health checks, outlier ejection; 0: nobody
  int64_t accessed_s = 0;
  int64_t checked_s = 0;
  int64_t back_s = 0;       // when it could be used again after a time when it could not; 0: never was away
  uint64_t requests = 0;
  uint64_t failures = 0;
  double header_ms = 0;     // moving averages over successful tries; 0: no sample yet
  double last_byte_ms = 0;
  // Of least_time with `inflight`: tries that count, and the sum of the times (CLOCK_MONOTONIC, milliseconds) when they began.
  uint64_t inflight_started_ms = 0;
  uint32_t inflight = 0;
  // Of ewma: the peak-sensitive average, 0: no sample yet; and when that held (CLOCK_MONOTONIC).
  uint64_t peak_at_ms = 0;
  double peak_ms = 0;

  // Brings the weights to what a peer of this weight starts with, unless they are made for it already.
  void set_weight(uint32_t nominal) {
    if (weight == nominal) return;
    weight = nominal;
    current_weight = 0;
    effective_weight = nominal;
  }
  // Some tries in flight have vanished with their process: what was counted of them is scaled down.
  void lose_conns(uint32_t left) {
    uint32_t counted = inflight < left ? inflight : left;
    inflight_started_ms = inflight ? inflight_started_ms / inflight * counted : 0;
    inflight = counted;
    conns = left;
  }
};

// A fixed number of states in memory somebody else owns, found by key. Each record also counts the connections and the references of each
// worker slot, so that those of a killed worker can be taken away.
class PeerTable {
 public:
  // The bytes that `peers` records for `slots` workers need; a set needs as many records as it has
  // peers, and while it is replaced as many again as are new.
  static size_t bytes_for(size_t peers, uint32_t slots);
  // Makes an empty table of as many records as fit. `memory` is aligned to 16 and at least
  // bytes_for(1, slots). What no record has needed yet is not touched, so that the system need not
  // back it.
  static PeerTable* create(void* memory, size_t bytes, uint32_t slots);
  // The table that create() made there.
  static PeerTable* at(void* memory);

  // The state of `key`, one more reference of `slot`: the one that is there, or a new one. nullptr: full.
  PeerState* acquire(const PeerKey& key, uint32_t weight, uint32_t slot);
  // Gives one reference of `slot` back; the last one frees the record.
  void release(PeerState* state, uint32_t slot);

  void count_conn(PeerState* state, uint32_t slot);
  void discount_conn(PeerState* state, uint32_t slot);
  // The worker in `slot` is gone, and with it what it counted: its connections, and references that it did not give back.
  void clear_slot(uint32_t slot);
  // After a lock owner died: makes every number hold its invariants again (connections = sum of slots, weights in range).
  void repair();

  uint32_t used() const { return used_; }
  uint32_t capacity() const { return capacity_; }
  uint32_t slots() const { return slots_; }

 private:
  struct Record;
  PeerTable(uint32_t capacity, uint32_t slots) : capacity_(capacity), slots_(slots) {}
  static size_t record_bytes(uint32_t slots);
  Record* record(uint32_t index);
  uint32_t index_of(const Record& record);
  uint32_t* chains();
  // Where the chain of the records with keys like this one begins: an index, none at its end.
  uint32_t& chain(const PeerKey& key);
  void link(Record& record);
  void unlink(Record& record);
  Record* take_unused();
  void free_if_unused(Record& record);
  static Record* record_of(PeerState* state);

  uint64_t magic_ = magic;
  uint32_t capacity_;
  uint32_t slots_;
  uint32_t used_ = 0;
  uint32_t made_ = 0;     // records that were ever used: the first ones
  uint32_t free_ = none;  // of these the first that is not used now; the next ones are chained behind it

  static constexpr uint32_t none = UINT32_MAX;
  static constexpr uint64_t magic = 0x7065'6572'7461'626c;
};

}  // namespace fairlead
