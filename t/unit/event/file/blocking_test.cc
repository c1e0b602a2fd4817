// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Calls on file threads: their value comes back to the loop thread, an orphaned call leaves nothing behind, the queue
// is bounded, stop() joins.
#include "event/file/blocking.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "event/file/ref.h"
#include "event/loop/nursery.h"
#include "t/unit/event/loop/open_loop.h"

using namespace fairlead;

namespace {

// Opened by the caller of the test to let a blocked thread go on.
struct Barrier {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int inside = 0;
  void pass() {
    std::unique_lock<std::mutex> lock(mutex);
    ++inside;
    changed.notify_all();
    changed.wait(lock, [this] { return open; });
  }
  void wait_inside(int count) {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [this, count] { return inside >= count; });
  }
  void release() {
    std::lock_guard<std::mutex> lock(mutex);
    open = true;
    changed.notify_all();
  }
};

struct PassBarrier {
  Barrier* barrier;
  int operator()() {
    barrier->pass();
    return 1;
  }
};

Task<Unit> add_squares(BlockingPool& pool, int from, int count, int64_t& sum, std::thread::id loop_thread) {
  for (int i = from; i < from + count; ++i) {
    auto call = blocking(pool, [i, loop_thread] { return std::this_thread::get_id() == loop_thread ? -1 : i * i; });
    auto square = co_await call;
    if (square) sum += *square;
  }
  co_return Unit();
}

template <class Function>
Task<Unit> call_once(BlockingPool& pool, Function function, std::string& log) {
  auto call = blocking(pool, std::move(function));
  auto result = co_await call;
  log += result ? 'v' : result.error().fault == Fault::canceled ? 'c' : result.error().fault == Fault::exhausted ? 'x' : '?';
  co_return Unit();
}

}  // namespace

TEST(Blocking, ManyCallsFromManyFramesGiveTheirOwnValues) {
  auto loop = open_loop();
  BlockingPool pool(*loop);
  EXPECT_EQ(pool.thread_count(), 0u);  // lazily
  Nursery nursery(*loop);
  int64_t sum = 0, expected = 0;
  for (int frame = 0; frame < 20; ++frame) nursery.spawn(add_squares(pool, frame * 50, 50, sum, std::this_thread::get_id()));
  for (int i = 0; i < 1000; ++i) expected += i * i;
  run_until_idle(*loop, nursery);
  EXPECT_EQ(sum, expected);
  EXPECT_GE(pool.thread_count(), 1u);
  EXPECT_LE(pool.thread_count(), 4u);
}

TEST(Blocking, ACallThatFailsByItselfGivesItsOwnError) {
  auto loop = open_loop();
  BlockingPool pool(*loop);
  Nursery nursery(*loop);
  std::string log;
  nursery.spawn(call_once(pool, [] { return Result<int>(Error{Fault::exhausted, Side::local, 0, "own"}); }, log));
  run_until_idle(*loop, nursery);
  EXPECT_EQ(log, "x");
}

TEST(Blocking, AnOrphanedCallClosesWhatItOpens) {
  auto loop = open_loop();
  BlockingPool pool(*loop, "one", 1);
  Barrier barrier;
  std::atomic<int> opened{-1};
  std::string log;
  {
    Nursery nursery(*loop);
    nursery.spawn(call_once(pool, [&barrier, &opened] {
      barrier.pass();
      opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
      return FileRef::adopt(opened);
    }, log));
    barrier.wait_inside(1);
  }  // the awaiter is destroyed while the thread is in the call
  barrier.release();
  for (int i = 0; i < 2000 && (opened < 0 || fcntl(opened, F_GETFD) != -1); ++i) loop->turn(10);
  EXPECT_GE(opened, 0);
  EXPECT_EQ(fcntl(opened, F_GETFD), -1);
  EXPECT_EQ(log, "");
}

TEST(Blocking, ACallThatWasNotBegunIsDroppedWithItsAwaiter) {
  auto loop = open_loop();
  BlockingPool pool(*loop, "one", 1);
  Barrier barrier;
  std::atomic<bool> ran{false};
  std::string log;
  Nursery first(*loop);
  first.spawn(call_once(pool, PassBarrier{&barrier}, log));
  barrier.wait_inside(1);
  {
    Nursery second(*loop);
    second.spawn(call_once(pool, [&ran] { ran = true; return 0; }, log));
    EXPECT_EQ(pool.queued_count(), 1u);
  }
  EXPECT_EQ(pool.queued_count(), 0u);
  barrier.release();
  run_until_idle(*loop, first);
  EXPECT_EQ(log, "v");
  EXPECT_FALSE(ran);
}

TEST(Blocking, AFullQueueRefuses) {
  auto loop = open_loop();
  BlockingPool pool(*loop, "small", 1, 2);
  Barrier barrier;
  std::string log;
  Nursery nursery(*loop);
  nursery.spawn(call_once(pool, PassBarrier{&barrier}, log));
  barrier.wait_inside(1);
  for (int i = 0; i < 3; ++i) nursery.spawn(call_once(pool, [] { return 0; }, log));
  EXPECT_EQ(log, "x");
  EXPECT_EQ(pool.refused_count(), 1u);
  barrier.release();
  run_until_idle(*loop, nursery);
  EXPECT_EQ(log, "xvvv");
}

TEST(Blocking, StopCancelsWhatWaitsAndKeepsWhatRan) {
  auto loop = open_loop();
  std::string log;
  Nursery nursery(*loop);
  size_t watches = loop->watch_count();
  {
    BlockingPool pool(*loop, "one", 1);
    Barrier barrier;
    nursery.spawn(call_once(pool, PassBarrier{&barrier}, log));
    barrier.wait_inside(1);
    nursery.spawn(call_once(pool, [] { return 0; }, log));
    std::thread opener([&barrier] {
      usleep(20000);
      barrier.release();
    });
    pool.stop();
    opener.join();
    nursery.spawn(call_once(pool, [] { return 0; }, log));
    EXPECT_EQ(log, "c");  // the late one, at once
  }
  run_until_idle(*loop, nursery);  // the pool is gone: the awaiters must not need it
  std::sort(log.begin(), log.end());
  EXPECT_EQ(log, "ccv");
  EXPECT_EQ(loop->watch_count(), watches);
}

TEST(Blocking, CancellingAtRandomLosesNothing) {
  auto loop = open_loop();
  BlockingPool pool(*loop, "default", 3);
  unsigned seed = 7;
  std::string log;
  for (int round = 0; round < 300; ++round) {
    Nursery nursery(*loop);
    for (int i = 0; i < 8; ++i) {
      auto kept = std::make_shared<std::string>(100, 'x');
      nursery.spawn(call_once(pool, [kept] { return FileRef::adopt(dup(2)); }, log));
    }
    for (unsigned turns = rand_r(&seed) % 4; turns > 0; --turns) loop->turn(1);
  }
  EXPECT_LE(log.size(), 2400u);
  int first_free = dup(2);  // every descriptor of an orphan is closed again, once collected
  close(first_free);
  pool.stop();
  int after = dup(2);
  close(after);
  EXPECT_LE(after, 16);
}

TEST(Blocking, FileThreadsTakeNoSignals) {
  auto loop = open_loop();
  BlockingPool pool(*loop);
  Nursery nursery(*loop);
  std::string log;
  bool blocked = false;
  nursery.spawn(call_once(pool, [&blocked] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP);
    return 0;
  }, log));
  run_until_idle(*loop, nursery);
  EXPECT_TRUE(blocked);
}
