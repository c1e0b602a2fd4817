// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The timer wheel fires each timer at its time, whatever the distance, and cancels for free.
#include "event/loop/timer.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

using namespace fairlead;

namespace {
struct Recorder : Timer {
  Recorder() : Timer([](Timer& t) { static_cast<Recorder&>(t).fired = true; }) {}
  bool fired = false;
};
}  // namespace

TEST(TimerWheel, FiresAtItsTimeAndNotBefore) {
  TimerWheel wheel(1000);
  for (uint64_t delay : {1ull, 63ull, 64ull, 65ull, 4095ull, 4096ull, 300000ull, 90000000ull}) {
    uint64_t start = 1000;
    TimerWheel fresh(start);
    Recorder timer;
    fresh.arm(timer, start + delay);
    fresh.advance(start + delay - 1);
    EXPECT_FALSE(timer.fired) << delay;
    fresh.advance(start + delay);
    EXPECT_TRUE(timer.fired) << delay;
    EXPECT_EQ(fresh.next_ms(), TimerWheel::never);
  }
}

TEST(TimerWheel, PastTimesExpireAtTheNextAdvance) {
  TimerWheel wheel(1000);
  Recorder timer;
  wheel.arm(timer, 5);
  EXPECT_EQ(wheel.next_ms(), 1000u);
  wheel.advance(1000);
  EXPECT_TRUE(timer.fired);
}

TEST(TimerWheel, CancelledTimersLeaveNoWakeUp) {
  TimerWheel wheel(0);
  {
    Recorder timer;
    wheel.arm(timer, 500);
    EXPECT_NE(wheel.next_ms(), TimerWheel::never);
  }
  EXPECT_EQ(wheel.next_ms(), TimerWheel::never);
}

TEST(TimerWheel, RandomTimersFireInOrderWithinTheirMillisecond) {
  std::mt19937_64 random(42);
  TimerWheel wheel(777);
  struct Stamp : Timer {
    Stamp() : Timer([](Timer& t) { static_cast<Stamp&>(t).fired_at = *static_cast<Stamp&>(t).now; }) {}
    uint64_t* now = nullptr;
    uint64_t fired_at = 0, wanted = 0;
  };
  uint64_t now = 777;
  std::vector<std::unique_ptr<Stamp>> timers;
  for (int i = 0; i < 2000; ++i) {
    auto timer = std::make_unique<Stamp>();
    timer->now = &now;
    timer->wanted = now + 1 + random() % (i % 3 == 0 ? 100 : 500000);
    wheel.arm(*timer, timer->wanted);
    timers.push_back(std::move(timer));
  }
  while (wheel.next_ms() != TimerWheel::never) {
    uint64_t next = wheel.next_ms();
    ASSERT_GE(next, now);
    now = next;
    wheel.advance(now);
  }
  for (auto& timer : timers) EXPECT_EQ(timer->fired_at, timer->wanted);
}
