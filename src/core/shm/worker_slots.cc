// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/worker_slots.h"

#include <errno.h>
#include <sys/mman.h>

#include <new>
#include <utility>

namespace fairlead {
namespace {

constexpr size_t board_bytes = worker_slots_max * sizeof(WorkerRow);

}  // namespace

Result<WorkerSlots> WorkerSlots::create() {
  void* at = mmap(nullptr, board_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return Error::from_errno(errno, "mmap() of the worker slots failed");
  auto* rows = static_cast<WorkerRow*>(at);
  for (BoardSlot slot = 0; slot < worker_slots_max; ++slot) new (rows + slot) WorkerRow;
  return WorkerSlots(rows);
}

WorkerSlots::WorkerSlots(WorkerSlots&& other) noexcept : rows_(std::exchange(other.rows_, nullptr)) {}

WorkerSlots::~WorkerSlots() {
  if (rows_) munmap(rows_, board_bytes);
}

BoardSlot WorkerSlots::claim(uint32_t generation) {
  for (BoardSlot slot = master_slot + 1; slot < worker_slots_max; ++slot) {
    WorkerRow& each = rows_[slot];
    WorkerState expected = WorkerState::free;
    if (!each.state.compare_exchange_strong(expected, WorkerState::starting)) continue;
    each.generation.store(generation, std::memory_order_relaxed);
    each.turn_ms.store(0, std::memory_order_relaxed);
    return slot;
  }
  return no_slot;
}

void WorkerSlots::set_pid(BoardSlot slot, pid_t pid) { row(slot).pid.store(pid, std::memory_order_relaxed); }

void WorkerSlots::release(BoardSlot slot) {
  FL_ASSERT(slot != master_slot);
  WorkerRow& left = row(slot);
  for (auto* now : {&left.active, &left.reading, &left.writing, &left.waiting}) now->store(0, std::memory_order_relaxed);
  left.pid.store(0, std::memory_order_relaxed);
  left.state.store(WorkerState::free, std::memory_order_relaxed);
}

BoardSlot WorkerSlots::find(pid_t pid) const {
  for (BoardSlot slot = 0; slot < worker_slots_max; ++slot) {
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
  for (BoardSlot slot = 0; slot < worker_slots_max; ++slot) {
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

size_t WorkerSlots::count(WorkerState state) const {
  size_t found = 0;
  for (BoardSlot slot = master_slot + 1; slot < worker_slots_max; ++slot) {
    found += rows_[slot].state.load(std::memory_order_relaxed) == state;
  }
  return found;
}

}  // namespace fairlead
