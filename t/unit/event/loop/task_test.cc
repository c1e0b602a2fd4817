// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Tasks: started by plain resume, cancelled by destruction, every destructor once; children, deadlines and nurseries on top of them.
#include "event/loop/task.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event/loop/child.h"
#include "event/loop/loop.h"
#include "event/loop/nursery.h"
#include "event/loop/sync.h"
#include "t/unit/event/loop/open_loop.h"

using namespace fairlead;

namespace {

struct CountDestructor {
  int& count;
  ~CountDestructor() { ++count; }
};

Task<int> answer(int value) { co_return value; }

Task<int> sum_of_many(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await answer(1);
  co_return sum;
}

Task<Unit> store_sum(int count, int& out) {
  out = co_await sum_of_many(count);
  co_return Unit();
}

Task<Unit> sleep_then_set(Loop& loop, uint64_t ms, int& out, int& destroyed) {
  CountDestructor guard{destroyed};
  co_await Sleep(loop, ms);
  out = 1;
  co_return Unit();
}

Task<Unit> nested(Loop& loop, int depth, int& destroyed) {
  CountDestructor guard{destroyed};
  if (depth == 0) {
    co_await Sleep(loop, 100000);
  } else {
    co_await nested(loop, depth - 1, destroyed);
  }
  co_return Unit();
}

Task<Unit> bounded(Loop& loop, uint64_t limit_ms, bool& timed_out, int& out, int& destroyed) {
  auto value = co_await Deadline<Unit>(loop, sleep_then_set(loop, 50, out, destroyed), loop.deadline(limit_ms));
  timed_out = !value.has_value();
  co_return Unit();
}

}  // namespace

TEST(Task, AMillionChildrenThatFinishAtOnceDoNotGrowTheStack) {
  auto loop = open_loop();
  Nursery nursery(*loop);
  int sum = 0;
  nursery.spawn(store_sum(1000000, sum));
  EXPECT_EQ(sum, 1000000);
  EXPECT_EQ(nursery.count(), 0u);
}

TEST(Task, CancellationDestroysTheWholeWaitingTreeOnce) {
  auto loop = open_loop();
  int destroyed = 0;
  {
    Nursery nursery(*loop);
    nursery.spawn(nested(*loop, 20, destroyed));
    EXPECT_EQ(destroyed, 0);
  }
  EXPECT_EQ(destroyed, 21);
  EXPECT_EQ(loop->timers().next_ms(), TimerWheel::never);
}

TEST(Task, FramesComeBackToThePool) {
  auto loop = open_loop();
  Nursery nursery(*loop);
  int sum = 0;
  nursery.spawn(store_sum(1000, sum));
  size_t slabs = pool_counts().slabs;
  for (int i = 0; i < 100; ++i) nursery.spawn(store_sum(1000, sum));
  EXPECT_EQ(pool_counts().slabs, slabs);
}

TEST(Deadline, TimesOutAndDestroysTheTask) {
  auto loop = open_loop();
  Nursery nursery(*loop);
  bool timed_out = false;
  int out = 0, destroyed = 0;
  nursery.spawn(bounded(*loop, 10, timed_out, out, destroyed));
  run_until_idle(*loop, nursery);
  EXPECT_TRUE(timed_out);
  EXPECT_EQ(out, 0);
  EXPECT_EQ(destroyed, 1);
}

TEST(Deadline, GivesTheValueWhenItComesFirst) {
  auto loop = open_loop();
  Nursery nursery(*loop);
  bool timed_out = true;
  int out = 0, destroyed = 0;
  nursery.spawn(bounded(*loop, 5000, timed_out, out, destroyed));
  run_until_idle(*loop, nursery);
  EXPECT_FALSE(timed_out);
  EXPECT_EQ(out, 1);
}

namespace {
Task<Unit> first_of_two(Loop& loop, uint64_t a_ms, uint64_t b_ms, std::string& order) {
  int out = 0, destroyed = 0;
  Child<Unit> a, b;
  a.start(sleep_then_set(loop, a_ms, out, destroyed));
  b.start(sleep_then_set(loop, b_ms, out, destroyed));
  co_await AnyOf(a, b);
  order += a.is_done() ? 'a' : 'b';
  if (a.is_done()) co_await b;
  else co_await a;
  order += a.is_done() && b.is_done() ? '+' : '-';
  co_return Unit();
}
}  // namespace

TEST(Child, AnyOfResumesWithTheFirstAndTheOtherCanBeJoined) {
  auto loop = open_loop();
  Nursery nursery(*loop);
  std::string order;
  nursery.spawn(first_of_two(*loop, 5, 500, order));
  run_until_idle(*loop, nursery);
  nursery.spawn(first_of_two(*loop, 500, 5, order));
  run_until_idle(*loop, nursery);
  EXPECT_EQ(order, "a+b+");
}

namespace {
Task<Unit> wait_event(Event& event, uint64_t deadline, std::string& log) {
  auto status = co_await event.wait(deadline);
  log += status == WaitStatus::ready ? 'r' : 't';
  co_return Unit();
}
Task<Unit> hold(Loop& loop, Semaphore& semaphore, int& inside, int& most) {
  co_await semaphore.acquire();
  most = std::max(most, ++inside);
  co_await Sleep(loop, 2);
  --inside;
  semaphore.release();
  co_return Unit();
}
}  // namespace

TEST(Event, WakesAllWaitersThroughTheReadyListAndTimesOut) {
  auto loop = open_loop();
  Nursery nursery(*loop);
  Event event(*loop);
  std::string log;
  nursery.spawn(wait_event(event, 0, log));
  nursery.spawn(wait_event(event, 0, log));
  nursery.spawn(wait_event(event, loop->deadline(5), log));
  for (int i = 0; i < 20 && log.empty(); ++i) loop->turn(10);
  EXPECT_EQ(log, "t");
  event.set();
  EXPECT_EQ(log, "t");  // nobody runs inside set()
  loop->turn(0);
  EXPECT_EQ(log, "trr");
}

TEST(Semaphore, NeverLetsMoreInThanItHasUnits) {
  auto loop = open_loop();
  Nursery nursery(*loop);
  Semaphore semaphore(*loop, 3);
  int inside = 0, most = 0;
  for (int i = 0; i < 20; ++i) nursery.spawn(hold(*loop, semaphore, inside, most));
  run_until_idle(*loop, nursery);
  EXPECT_EQ(most, 3);
  EXPECT_EQ(semaphore.available(), 3u);
}

TEST(Semaphore, ReleasesManyUnitsAtOnce) {
  auto loop = open_loop();
  Nursery nursery(*loop);
  Semaphore semaphore(*loop, 0);
  int inside = 0, most = 0;
  for (int i = 0; i < 5; ++i) nursery.spawn(hold(*loop, semaphore, inside, most));
  semaphore.release(0);
  semaphore.release(3);
  EXPECT_EQ(semaphore.available(), 0u);
  run_until_idle(*loop, nursery);
  EXPECT_EQ(most, 3);
  semaphore.release(size_t{1} << 60);
  EXPECT_EQ(semaphore.available(), (size_t{1} << 60) + 3);
}

namespace {
Task<Unit> read_some(Watch& watch, uint64_t deadline, std::string& log) {
  auto status = co_await IoWait(watch, Direction::read, deadline);
  log += status == WaitStatus::ready ? 'r' : 't';
  co_return Unit();
}
Task<Unit> always_ready(Watch& watch, int& steps) {
  for (int i = 0; i < 100; ++i) {
    co_await IoWait(watch, Direction::write, 0);
    ++steps;
  }
  co_return Unit();
}
}  // namespace

TEST(Loop, AReadWaitEndsByDataOrByItsDeadline) {
  auto loop = open_loop();
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
  auto watch = loop->watch(pair[0], PollMode::edge);
  ASSERT_TRUE(watch);
  std::string log;
  {
    Nursery nursery(*loop);
    nursery.spawn(read_some(**watch, loop->deadline(5), log));
    for (int i = 0; i < 20 && log.empty(); ++i) loop->turn(20);
    EXPECT_EQ(log, "t");
    nursery.spawn(read_some(**watch, loop->deadline(5000), log));
    ASSERT_EQ(write(pair[1], "x", 1), 1);
    for (int i = 0; i < 20 && log.size() < 2; ++i) loop->turn(20);
    EXPECT_EQ(log, "tr");
  }
  loop->unwatch(*watch);
  close(pair[0]);
  close(pair[1]);
}

TEST(Loop, AnAlwaysReadyFrameYieldsAfterItsBudget) {
  auto loop = open_loop();
  Watch* watch = loop->watch_memory();
  loop->raise(*watch, false, true, false);
  {
    Nursery nursery(*loop);
    int steps = 0;
    nursery.spawn(always_ready(*watch, steps));
    EXPECT_LE(steps, 16);
    int turns = 0;
    while (nursery.count() > 0 && turns < 50) loop->turn(0), ++turns;
    EXPECT_EQ(steps, 100);
    EXPECT_GE(turns, 5);
  }
  loop->unwatch(watch);
}

TEST(Loop, EventsOfAClosedDescriptorAreNotDeliveredToItsSuccessor) {
  auto loop = open_loop();
  int first[2], second[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, first), 0);
  auto watch = loop->watch(first[0], PollMode::edge);
  ASSERT_TRUE(watch);
  ASSERT_EQ(write(first[1], "x", 1), 1);
  loop->unwatch(*watch);
  close(first[0]);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, second), 0);
  auto successor = loop->watch(second[0], PollMode::edge);
  ASSERT_TRUE(successor);
  loop->turn(10);
  EXPECT_FALSE((*successor)->is_ready(Direction::read));
  loop->unwatch(*successor);
  close(first[1]);
  close(second[0]);
  close(second[1]);
}
