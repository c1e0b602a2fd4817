// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/lock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <new>

namespace fairlead {
namespace {

struct Board {
  ShmLock lock;
  uint64_t counter = 0;
  uint64_t mirror = 0;  // equal to counter whenever the lock is free
  std::atomic<int> repairs{0};
  std::atomic<int> stage{0};
};

ShmRepair repair_of(Board& board) {
  return {[](void* state) {
            auto& b = *static_cast<Board*>(state);
            b.mirror = b.counter;
            ++b.repairs;
          },
          &board};
}

void lock_twice(Board& board) {
  ShmLockGuard one(board.lock, repair_of(board));
  ShmLockGuard two(board.lock, repair_of(board));
}

class ShmLockTest : public testing::Test {
 protected:
  void SetUp() override {
    void* at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(at, MAP_FAILED);
    board = new (at) Board;
  }
  void TearDown() override { munmap(board, 4096); }

  template <class F>
  pid_t child(F&& work) {
    pid_t id = fork();
    if (id == 0) {
      work();
      _exit(0);
    }
    return id;
  }
  static bool ended_well(pid_t id) {
    int status = 0;
    return waitpid(id, &status, 0) == id && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  static void wait_ms(long ms) {
    timespec time = {ms / 1000, ms % 1000 * 1'000'000};
    nanosleep(&time, nullptr);
  }
  void wait_for_stage(int stage) {
    for (int i = 0; i < 5000 && board->stage < stage; ++i) wait_ms(1);
    ASSERT_GE(board->stage.load(), stage);
  }
  // A child that holds the lock with the contents half changed; killed, but not reaped.
  pid_t killed_holder() {
    pid_t id = child([&] {
      ShmLockGuard guard(board->lock, repair_of(*board));
      ++board->counter;
      board->stage = 1;
      raise(SIGKILL);
    });
    wait_for_stage(1);
    siginfo_t status;
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(id), &status, WEXITED | WNOWAIT), 0);
    return id;
  }
  Board* board = nullptr;
};

TEST_F(ShmLockTest, GuardsAreCounted) {
  EXPECT_EQ(shm_locks_held(), 0);
  {
    ShmLockGuard guard(board->lock, repair_of(*board));
    EXPECT_EQ(shm_locks_held(), 1);
    EXPECT_EQ(board->lock.holder(), getpid());
    bool dirty;
    EXPECT_FALSE(board->lock.try_lock(dirty));
    ASSERT_TRUE(ended_well(child([&] { _exit(board->lock.try_lock(dirty) ? 1 : 0); })));
  }
  EXPECT_EQ(shm_locks_held(), 0);
  EXPECT_EQ(board->lock.holder(), 0);
  EXPECT_EQ(board->repairs, 0);
}

TEST_F(ShmLockTest, ProcessesExcludeEachOther) {
  constexpr int processes = 4, rounds = 20'000;
  pid_t ids[processes];
  for (pid_t& id : ids) {
    id = child([&] {
      for (int i = 0; i < rounds; ++i) {
        ShmLockGuard guard(board->lock, repair_of(*board));
        if (board->counter != board->mirror) _exit(1);
        ++board->counter;
        if (i % 64 == 0) sched_yield();  // lose the processor with the lock now and then
        ++board->mirror;
      }
    });
  }
  for (pid_t id : ids) EXPECT_TRUE(ended_well(id));
  EXPECT_EQ(board->counter, uint64_t{processes} * rounds);
  EXPECT_EQ(board->repairs, 0);
}

TEST_F(ShmLockTest, MasterBreaksTheLockOfAReapedWorkerAndTheNextHolderRepairsOnce) {
  pid_t dead = killed_holder();
  ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
  EXPECT_EQ(board->lock.holder(), dead);
  EXPECT_FALSE(board->lock.break_lock(dead + 1));
  EXPECT_TRUE(board->lock.break_lock(dead));
  EXPECT_FALSE(board->lock.break_lock(dead));
  EXPECT_EQ(board->lock.holder(), 0);
  EXPECT_NE(board->counter, board->mirror);
  {
    ShmLockGuard guard(board->lock, repair_of(*board));
    EXPECT_EQ(board->counter, board->mirror);
  }
  ShmLockGuard again(board->lock, repair_of(*board));
  EXPECT_EQ(board->repairs, 1);
}

TEST_F(ShmLockTest, ASleepingWaiterGoesOnWhenTheMasterBreaksTheLock) {
  pid_t dead = killed_holder();
  pid_t waiter = child([&] {  // not the parent of `dead`: it cannot see the death itself
    board->stage = 2;
    ShmLockGuard guard(board->lock, repair_of(*board));
    board->stage = 3;
  });
  wait_for_stage(2);
  wait_ms(60);
  EXPECT_EQ(board->stage, 2);
  ASSERT_EQ(waitpid(dead, nullptr, WNOHANG), dead);
  board->lock.break_lock(dead);  // or the waiter has seen ESRCH first
  EXPECT_TRUE(ended_well(waiter));
  EXPECT_EQ(board->stage, 3);
  EXPECT_EQ(board->repairs, 1);
}

TEST_F(ShmLockTest, TheMasterItselfNeverWaitsForADeadChild) {
  pid_t dead = killed_holder();
  {
    ShmLockGuard guard(board->lock, repair_of(*board));  // sees the child's end though nobody has reaped it
    EXPECT_EQ(board->repairs, 1);
  }
  EXPECT_EQ(waitpid(dead, nullptr, WNOHANG), dead);  // and leaves the reaping to its owner
}

TEST_F(ShmLockTest, AWorkerThatDiesDuringTheRepairLeavesItToTheNext) {
  pid_t first = killed_holder();
  waitpid(first, nullptr, 0);
  board->lock.break_lock(first);
  pid_t second = child([&] { ShmLockGuard guard(board->lock, {[](void*) { raise(SIGKILL); }, nullptr}); });
  waitpid(second, nullptr, 0);
  EXPECT_TRUE(board->lock.break_lock(second));
  ShmLockGuard guard(board->lock, repair_of(*board));
  EXPECT_EQ(board->repairs, 1);
}

TEST_F(ShmLockTest, KilledHoldersUnderLoadNeverStopTheOthers) {
  constexpr int processes = 3;
  pid_t ids[processes];
  auto work = [&] {
    for (;;) {
      ShmLockGuard guard(board->lock, repair_of(*board));
      if (board->counter != board->mirror) _exit(1);
      ++board->counter;
      for (int i = 0; i < 200; ++i) asm volatile("");  // half changed for a while
      ++board->mirror;
    }
  };
  for (pid_t& id : ids) id = child(work);
  for (int round = 0; round < 60; ++round) {
    wait_ms(2);
    pid_t& id = ids[round % processes];
    kill(id, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(id, &status, 0), id);
    ASSERT_TRUE(WIFSIGNALED(status));  // it has not exited by itself over torn contents
    board->lock.break_lock(id);
    {
      ShmLockGuard guard(board->lock, repair_of(*board));
      ASSERT_EQ(board->counter, board->mirror);
    }
    id = child(work);
  }
  for (pid_t id : ids) {
    kill(id, SIGKILL);
    waitpid(id, nullptr, 0);
    board->lock.break_lock(id);
  }
  ShmLockGuard guard(board->lock, repair_of(*board));
  EXPECT_EQ(board->counter, board->mirror);
  EXPECT_GT(board->repairs, 0);
}

TEST_F(ShmLockTest, MisuseIsAnAssertion) {
  EXPECT_DEATH(board->lock.unlock(), "assertion failed");
  EXPECT_DEATH(lock_twice(*board), "assertion failed");
}

}  // namespace
}  // namespace fairlead
