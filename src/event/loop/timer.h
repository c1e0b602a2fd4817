// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Timers on a hierarchical wheel: six levels of 64 slots, one millisecond at the lowest. Arming and cancelling are O(1); a
// timer is cancelled by destroying or disarming it, without reference to the wheel.
#pragma once

#include <cstdint>

#include "core/base/list.h"

namespace fairlead {

// Owned by whoever waits. `on_expire` runs from the loop, with the timer already disarmed; it may destroy the timer.
class Timer : public Link {
 public:
  using OnExpire = void (*)(Timer&);
  explicit Timer(OnExpire on_expire) : on_expire_(on_expire) {}
  bool armed() const { return linked(); }
  void disarm() { unlink(); }
  uint64_t expires_ms() const { return expires_ms_; }

 private:
  friend class TimerWheel;
  OnExpire on_expire_;
  uint64_t expires_ms_ = 0;
};

class TimerWheel {
 public:
  static constexpr uint64_t never = UINT64_MAX;

  explicit TimerWheel(uint64_t now_ms) : now_ms_(now_ms) {}
  // (Re-)arms `timer` for the monotonic time `expires_ms`; a time in the past expires at the next advance.
  void arm(Timer& timer, uint64_t expires_ms);
  // The time at which advance() has something to do (an expiry, or moving far timers nearer), or `never`.
  uint64_t next_ms();
  // Expires everything due at `now_ms`.
  void advance(uint64_t now_ms) {
    bool is_quiet = due_.empty() && first_ && !first_->empty() && first_starts_ms_ > now_ms;
    if (!is_quiet) expire(now_ms);
    else if (now_ms > now_ms_) now_ms_ = now_ms;
  }

 private:
  static constexpr unsigned levels = 6, slot_bits = 6, slots = 1u << slot_bits;
  struct Level {
    uint64_t occupied = 0;  // a set bit may be stale: cancelling does not clear it
    List<Timer> slot[slots];
  };
  void expire(uint64_t now_ms);
  void place(Timer& timer);
  bool find_first();
  bool first_slot(unsigned& level, unsigned& slot, uint64_t& starts_ms);

  uint64_t now_ms_;
  List<Timer> due_;
  // What first_slot() found last: both calls of a turn ask, and only arming, an expiry or a slot that has emptied changes the answer.
  List<Timer>* first_ = nullptr;
  uint64_t first_starts_ms_ = never;
  Level level_[levels];
};

}  // namespace fairlead
