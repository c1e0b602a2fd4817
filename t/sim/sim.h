// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What simulations share: random numbers from a seed, a trace with virtual times, the loop that moves the virtual
// clock, and main(): without
// arguments it runs many seeds, each twice, and the traces must be equal; SEED=n runs one and prints its trace; SEEDS=n sets how many.
// A simulation says what one seed does: Outcome simulate(uint64_t seed).
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "event/loop/loop.h"
#include "event/loop/nursery.h"
#include "t/unit/event/loop/open_loop.h"

namespace fairlead::sim {

// splitmix64: the same numbers with every library.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 to `below` - 1.
  uint64_t below(uint64_t below) { return next() % below; }
  uint64_t between(uint64_t least, uint64_t most) { return least + below(most - least + 1); }
  bool one_in(uint64_t many) { return below(many) == 0; }

 private:
  uint64_t state_;
};

struct Outcome {
  std::string trace;
  std::string failure;  // empty: all is well
};

// One world: a loop under a virtual clock.
class World {
 public:
  static constexpr uint64_t start_ms = 1'000'000'000'000;  // so that wall time is a plausible one
  World() {
    process_clock.set_virtual(start_ms);
    loop_ = open_loop();
  }
  ~World() { process_clock.set_real(); }
  Loop& loop() { return *loop_; }
  uint64_t elapsed_ms() const { return process_clock.now_ms() - start_ms; }

  template <class... Args>
  void note(fmt::format_string<Args...> text, Args&&... args) {
    outcome.trace += format("{:>8} ", elapsed_ms()) + format(text, std::forward<Args>(args)...) + "\n";
  }
  // The first failure counts.
  void fail(std::string why) {
    note("FAILURE {}", why);
    if (outcome.failure.empty()) outcome.failure = std::move(why);
  }
  // Until no task of `nursery` is left; a failure if that takes more than `limit_ms` of virtual time, or if nothing can happen any more.
  void run(Nursery& nursery, uint64_t limit_ms) {
    while (nursery.count() > 0) {
      loop_->turn(0);
      if (loop_->has_ready()) continue;
      uint64_t next = loop_->timers().next_ms();
      if (nursery.count() == 0) return;
      if (next == TimerWheel::never) return fail("hang: nobody waits for a timer");
      if (next > start_ms + limit_ms) return fail("hang: out of virtual time");
      if (next > process_clock.now_ms()) process_clock.set_virtual(next);
    }
  }

  Outcome outcome;

 private:
  std::unique_ptr<Loop> loop_;
};

Outcome simulate(uint64_t seed);

inline int run_seeds() {
  if (const char* one = std::getenv("SEED")) {
    Outcome outcome = simulate(std::strtoull(one, nullptr, 10));
    std::fputs(outcome.trace.c_str(), stdout);
    std::printf("%s\n", outcome.failure.empty() ? "ok" : outcome.failure.c_str());
    return outcome.failure.empty() ? 0 : 1;
  }
  const char* many = std::getenv("SEEDS");
  uint64_t seeds = many ? std::strtoull(many, nullptr, 10) : 300, failed = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    Outcome first = simulate(seed), second = simulate(seed);
    if (first.trace != second.trace && first.failure.empty()) first.failure = "two runs differ";
    if (first.failure.empty()) continue;
    std::printf("SEED=%llu: %s\n", static_cast<unsigned long long>(seed), first.failure.c_str());
    ++failed;
  }
  std::printf("%llu seeds, %llu failed\n", static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(failed));
  return failed ? 1 : 0;
}

}  // namespace fairlead::sim
