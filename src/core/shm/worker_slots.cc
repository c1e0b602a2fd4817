// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/worker_slots.h"

#include <errno.h>
#include <sys/mman.h>

#include <utility>

namespace fairlead {
namespace {

constexpr size_t board_bytes = worker_slots_max * sizeof(WorkerRow);

}  // namespace

Result<WorkerSlots> WorkerSlots::create() {
  void* at = mmap(nullptr, board_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return Error::from_errno(errno, "mmap() of the worker slots failed");
  // A fresh mapping is zero, which is what a row begins with; writing that would make memory of it.
  auto* rows = static_cast<WorkerRow*>(at);
  rows[master_slot].slots_used.store(master_slot + 1, std::memory_order_relaxed);
  return WorkerSlots(rows);
}

WorkerSlots::WorkerSlots(WorkerSlots&& other) noexcept : rows_(std::exchange(other.rows_, nullptr)) {}

WorkerSlots::~WorkerSlots() {
  if (rows_) munmap(rows_, board_bytes);
}

// The slot is the process's by one write, so that whenever it is killed the master finds what to release.
BoardSlot WorkerSlots::claim(uint32_t generation, pid_t pid) {
  for (BoardSlot slot = master_slot + 1; slot < worker_slots_max; ++slot) {
    WorkerRow& each = rows_[slot];
    pid_t nobody = 0;
    if (!each.pid.compare_exchange_strong(nobody, pid)) continue;
    std::atomic<BoardSlot>& used = rows_[master_slot].slots_used;
    for (BoardSlot seen = used.load(); seen <= slot && !used.compare_exchange_weak(seen, slot + 1);) continue;
    each.generation.store(generation, std::memory_order_relaxed);
    each.state.store(WorkerState::starting, std::memory_order_relaxed);
    return slot;
  }
  return no_slot;
}

void WorkerSlots::release(BoardSlot slot) {
  FL_ASSERT(slot != master_slot);
  WorkerRow& left = row(slot);
  for (auto* now : {&left.active, &left.reading, &left.writing, &left.waiting}) now->store(0, std::memory_order_relaxed);
  left.state.store(WorkerState::free, std::memory_order_relaxed);
  left.pid.store(0, std::memory_order_release);
}

BoardSlot WorkerSlots::find(pid_t pid) const {
  for (BoardSlot slot = master_slot + 1; slot < slots_used(); ++slot) {
    if (pid > 0 && rows_[slot].pid.load(std::memory_order_relaxed) == pid) return slot;
  }
  return no_slot;
}

ConnectionCounts counts_of(const WorkerRow& row) {
  constexpr auto relaxed = std::memory_order_relaxed;
  return {row.accepted.load(relaxed), row.handled.load(relaxed), row.requests.load(relaxed), row.active.load(relaxed),
          row.reading.load(relaxed),  row.writing.load(relaxed), row.waiting.load(relaxed)};
}

ConnectionCounts WorkerSlots::counts() const {
  ConnectionCounts sum;
  for (BoardSlot slot = 0; slot < slots_used(); ++slot) {
    ConnectionCounts each = counts_of(rows_[slot]);
    sum.accepted += each.accepted;
    sum.handled += each.handled;
    sum.requests += each.requests;
    sum.active += each.active;
    sum.reading += each.reading;
    sum.writing += each.writing;
    sum.waiting += each.waiting;
  }
  return sum;
}

}  // namespace fairlead
