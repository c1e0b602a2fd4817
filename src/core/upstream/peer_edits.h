// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PeerEdits: what was changed about groups' peers at run time: added, removed, weighed, drained. A table in a zone's memory, so that all
// workers see the same and a reload keeps it; or in a process's own. Plain values, no pointers. Who asks for changes, and when a worker
// takes them up, is decided elsewhere (event/net/upstreams.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/upstream/peer.h"

namespace fairlead {

// Of a peer that is there. Fields that are not in `fields` stay as they are.
struct PeerChange {
  enum Field : uint32_t {
    weight_field = 1,
    max_conns_field = 2,
    max_fails_field = 4,
    fail_timeout_field = 8,
    down_field = 16,
    drain_field = 32
  };
  uint32_t fields = 0;
  uint32_t weight = 1, max_conns = 0, max_fails = 1;
  int64_t fail_timeout_s = 10;
  bool down = false, drain = false;
  // What `later` says holds.
  void add(const PeerChange& later);
  void apply(PeerSpec& to) const;
};

struct PeerEdit {
  static constexpr size_t group_bytes_max = 127, server_bytes_max = 127;
  char group[group_bytes_max + 1];    // its name
  char server[server_bytes_max + 1];  // a peer's name, or the address of its `server` line as written
  bool is_used;
  bool is_removed;  // what the configuration has of that name is not there
  bool is_added;    // a peer of that address is there, with all of `change`
  bool backup;
  PeerChange change;
};

class PeerEdits {
 public:
  // An empty table of as many edits as fit. `memory` is aligned to 16 and holds at least one.
  static PeerEdits* create(void* memory, size_t bytes);
  static size_t bytes_for(uint32_t edits) { return sizeof(PeerEdits) + edits * sizeof(PeerEdit); }

  // Counts changes. May be read without the lock, which everything else needs.
  uint32_t version() const { return version_.load(std::memory_order_acquire); }
  void note_change() { version_.fetch_add(1, std::memory_order_release); }

  // The edit of that peer, or nullptr.
  PeerEdit* find(std::string_view group, std::string_view server);
  // The same, made if there is none; nullptr: the table is full, or a name is too long for it.
  PeerEdit* use(std::string_view group, std::string_view server);
  // What became of the group's peers.
  void apply(std::string_view group, std::vector<PeerSpec>& peers) const;

 private:
  explicit PeerEdits(uint32_t capacity) : capacity_(capacity) {}
  PeerEdit* edits() { return reinterpret_cast<PeerEdit*>(this + 1); }
  const PeerEdit* edits() const { return reinterpret_cast<const PeerEdit*>(this + 1); }

  std::atomic<uint32_t> version_{0};
  uint32_t capacity_;
  [[maybe_unused]] uint64_t unused_ = 0;  // edits behind are aligned to 16
};

// How a group's edits are reached.
struct PeerEditing {
  PeerEdits* table = nullptr;  // nullptr: there is none
  PeerLock* lock = nullptr;    // nullptr: the table is the process's own
};

// Whether an edit's name means this peer.
inline bool is_named(const PeerSpec& peer, std::string_view name) { return peer.name == name || peer.server == name; }

}  // namespace fairlead
