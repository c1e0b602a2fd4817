// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The table of worker processes as the master keeps it: which pid serves which slot of which generation, how it is told things, and when a
// slot whose worker died gets the next one. Forks nothing and waits for nothing itself.
#pragma once

#include <limits.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/process/channel.h"

namespace fairlead {

struct WorkerChild {
  pid_t pid = -1;
  unsigned slot = 0;
  uint64_t generation = 0;
  uint64_t started_ms = 0;
  int channel = -1;
  bool ready = false;    // has said that it accepts
  bool leaving = false;  // told to quit or terminate: its end is no crash
};

// When to start a slot's next worker: at once, but if one dies within a second of its start five
// times running the next waits 100 ms, then twice as long each time, up to a second. After one that
// served it waits a moment only, enough to keep the forks apart: what killed it was some request,
// and the others should not pay for that. If that goes on for fifty of them it is 100 ms. Pure.
class RespawnPace {
 public:
  static constexpr uint64_t quick_death_ms = 1000;
  static constexpr unsigned free_deaths = 5;
  static constexpr uint64_t pause_min_ms = 100;
  static constexpr uint64_t pause_max_ms = 1000;
  static constexpr uint64_t pause_after_service_ms = 10;
  static constexpr unsigned deaths_in_service = 50;

  // A worker that lived `lived_ms` died; gives the pause before the next.
  uint64_t died(uint64_t lived_ms, bool had_served);

 private:
  unsigned quick_deaths_ = 0;
};

class WorkerTable {
 public:
  WorkerTable() = default;
  WorkerTable(const WorkerTable&) = delete;
  WorkerTable& operator=(const WorkerTable&) = delete;

  void add(const WorkerChild& worker) { workers_.push_back(worker); }
  // Closes its channel and forgets it; nothing if `pid` is no worker.
  std::optional<WorkerChild> remove(pid_t pid);
  // In a new worker: the ends of channels that are the master's.
  void close_channels();

  bool empty() const { return workers_.empty(); }
  size_t size() const { return workers_.size(); }
  // `slots`: only workers of the slots below it.
  bool any_of(uint64_t generation, unsigned slots = UINT_MAX) const;
  // Whether a worker that is not leaving serves the slot.
  bool serves(unsigned slot, uint64_t generation) const;

  // By the channel, else by `signal`. Workers of `generation` only, unless 0.
  void tell(WorkerCommand command, int signal, uint64_t generation = 0);
  void kill_all(int signal, uint64_t generation = 0);
  // Waits until each worker of `generation` has reported this or is gone, at most `limit_ms`.
  void await(WorkerReport report, uint64_t generation, uint64_t limit_ms);
  // Hears what the workers say, without waiting: how many of this generation have reported ready.
  unsigned count_ready(uint64_t generation, unsigned slots = UINT_MAX);
  // Whether another one may be about to.
  bool any_starting(uint64_t generation) const;

  // Slots to be filled later.
  void plan_respawn(unsigned slot, uint64_t at_ms);
  void forget_plans() { plans_.clear(); }
  // The slots whose time has come, taken out of the plan.
  std::vector<unsigned> due(uint64_t now_ms);
  // When the next is due, UINT64_MAX if none is planned.
  uint64_t next_due_ms() const;
  RespawnPace& pace(unsigned slot);

 private:
  struct Plan {
    unsigned slot;
    uint64_t at_ms;
  };
  void mark_ready(int channel);
  std::vector<WorkerChild> workers_;
  std::vector<Plan> plans_;
  std::vector<RespawnPace> paces_;  // by slot
};

}  // namespace fairlead
