// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/worker_slots.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fairlead {
namespace {

TEST(WorkerSlots, SlotsAreClaimedAndReused) {
  WorkerSlots board = std::move(*WorkerSlots::create());
  EXPECT_EQ(board.slots_used(), 1u);
  BoardSlot one = board.claim(1, 1234), two = board.claim(1, 1235);
  EXPECT_NE(one, master_slot);
  EXPECT_NE(one, two);
  EXPECT_EQ(board.row(one).state, WorkerState::starting);
  EXPECT_EQ(board.find(1234), one);
  EXPECT_EQ(board.find(1), no_slot);
  EXPECT_EQ(board.find(0), no_slot);
  board.release(one);
  EXPECT_EQ(board.find(1234), no_slot);
  EXPECT_EQ(board.row(one).state, WorkerState::free);
  EXPECT_EQ(board.claim(2, 1236), one);
  EXPECT_EQ(board.row(one).generation, 2u);
  EXPECT_EQ(board.row(one).state, WorkerState::starting);
  EXPECT_EQ(board.slots_used(), 3u);
}

TEST(WorkerSlots, AllTaken) {
  WorkerSlots board = std::move(*WorkerSlots::create());
  for (BoardSlot i = 1; i < worker_slots_max; ++i) ASSERT_EQ(board.claim(1, static_cast<pid_t>(1000 + i)), i);
  EXPECT_EQ(board.claim(1, 5000), no_slot);
  board.release(7);
  EXPECT_EQ(board.claim(1, 5000), 7u);
}

TEST(WorkerSlots, AKilledWorkerLeavesItsTotalsAndNothingElse) {
  WorkerSlots board = std::move(*WorkerSlots::create());
  BoardSlot first = 0;
  for (int life = 0; life < 2; ++life) {
    pid_t pid = fork();
    if (pid == 0) {
      WorkerRow& row = board.row(board.claim(1, getpid()));
      row.state = WorkerState::serving;
      for (int i = 0; i < 5; ++i) {
        add_to(row.accepted);
        add_to(row.handled);
        add_to(row.requests, 10);
        add_to(row.active);
      }
      take_from(row.active, 2);
      add_to(row.reading);
      add_to(row.waiting, 2);
      raise(SIGKILL);
    }
    ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
    BoardSlot slot = board.find(pid);
    ASSERT_NE(slot, no_slot);
    if (life == 0) first = slot;
    EXPECT_EQ(slot, first);
    EXPECT_EQ(board.row(slot).state, WorkerState::serving);
    ConnectionCounts counts = board.counts();
    EXPECT_EQ(counts.active, 3u);
    EXPECT_EQ(counts.reading, 1u);
    EXPECT_EQ(counts.waiting, 2u);
    board.release(slot);
  }
  ConnectionCounts counts = board.counts();
  EXPECT_EQ(counts.accepted, 10u);
  EXPECT_EQ(counts.handled, 10u);
  EXPECT_EQ(counts.requests, 100u);
  EXPECT_EQ(counts.active + counts.reading + counts.writing + counts.waiting, 0u);
}

TEST(WorkerSlots, RowsOfDifferentWorkersShareNoCacheLine) {
  static_assert(alignof(WorkerRow) == 64 && sizeof(WorkerRow) % 64 == 0 && sizeof(WorkerRow) <= 128);
  WorkerSlots board = std::move(*WorkerSlots::create());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(&board.row(1)) % 64, 0u);
}

}  // namespace
}  // namespace fairlead
