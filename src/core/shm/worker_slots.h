// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The board of worker slots: who runs in which slot, in which state, and the counters of stub_status. The master makes it once, before
// the first fork, and keeps it over all generations. A worker claims a slot and writes only its own row, without locks; the master releases
// it. Only as much of the board is ever touched, by reading or writing, as slots were in use at once.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/base/error.h"

namespace fairlead {

// A small number that names a process among the living: per-worker places in shared memory are indexed by it. Slot 0 is the master (and
// the only process when there are no workers); a worker's slot is given to a successor after the worker has been reaped.
using BoardSlot = uint32_t;
constexpr BoardSlot master_slot = 0;
constexpr BoardSlot no_slot = UINT32_MAX;
// Slots, the master's included: workers of the newest generation and those that still drain. As many processes as nginx supervises at most.
constexpr BoardSlot worker_slots_max = 1024;
constexpr size_t live_workers_max = worker_slots_max - 1;

enum class WorkerState : uint32_t { free, starting, serving, draining };

// A worker's own row. Two cache lines that no other process writes.
struct alignas(64) WorkerRow {
  std::atomic<pid_t> pid{0};  // 0: nobody's; cleared by the master
  std::atomic<uint32_t> generation{0};
  std::atomic<WorkerState> state{WorkerState::free};
  // In the master's row.
  std::atomic<bool> server_leaves{false};  // the end of the whole server has been announced
  std::atomic<BoardSlot> slots_used{0};    // those from here on were never in use
  std::atomic<uint64_t> numbers_taken{0};  // of clients' connections

  // Since the master started, over all workers that had this slot.
  std::atomic<uint64_t> accepted{0}, handled{0}, requests{0};
  // Now.
  std::atomic<uint64_t> active{0}, reading{0}, writing{0}, waiting{0};
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// For a value with one writer: no locked instruction.
inline void add_to(std::atomic<uint64_t>& value, uint64_t n = 1) {
  value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}
inline void take_from(std::atomic<uint64_t>& value, uint64_t n = 1) { add_to(value, uint64_t{0} - n); }

// What stub_status prints, summed over all rows.
struct ConnectionCounts {
  uint64_t accepted = 0, handled = 0, requests = 0;
  uint64_t active = 0, reading = 0, writing = 0, waiting = 0;
};

// The counts of one row.
ConnectionCounts counts_of(const WorkerRow& row);

class WorkerSlots {
 public:
  // Maps the board. Fault::exhausted without memory.
  static Result<WorkerSlots> create();
  WorkerSlots(WorkerSlots&& other) noexcept;
  WorkerSlots& operator=(WorkerSlots&&) = delete;
  ~WorkerSlots();

  // A fresh worker, whose process id is `pid`: the first free slot, now `starting`; no_slot when all are taken.
  BoardSlot claim(uint32_t generation, pid_t pid);
  // Master, after the process was reaped (or could not be forked): the slot is free, its momentary counts are zero, the others stay.
  void release(BoardSlot slot);
  // The slot of a worker, or no_slot.
  BoardSlot find(pid_t pid) const;
  // All that are in use are below; at least 1, the master's.
  BoardSlot slots_used() const { return row(master_slot).slots_used.load(std::memory_order_relaxed); }

  // The first of the next `count` numbers for clients' connections. No two processes get the same, whatever became of those before.
  uint64_t take_numbers(uint64_t count) { return row(master_slot).numbers_taken.fetch_add(count, std::memory_order_relaxed) + 1; }

  // The whole server is about to end, and its workers still serve; not taken back.
  void announce_leave() { row(master_slot).server_leaves.store(true, std::memory_order_relaxed); }
  bool is_leave_announced() const { return row(master_slot).server_leaves.load(std::memory_order_relaxed); }

  WorkerRow& row(BoardSlot slot) {
    FL_ASSERT(slot < worker_slots_max);
    return rows_[slot];
  }
  const WorkerRow& row(BoardSlot slot) const { return const_cast<WorkerSlots*>(this)->row(slot); }
  ConnectionCounts counts() const;

 private:
  explicit WorkerSlots(WorkerRow* rows) : rows_(rows) {}
  WorkerRow* rows_;
};

}  // namespace fairlead
