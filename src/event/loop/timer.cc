// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/loop/timer.h"

#include <algorithm>
#include <utility>

namespace fairlead {

void TimerWheel::arm(Timer& timer, uint64_t expires_ms) {
  timer.disarm();
  timer.expires_ms_ = expires_ms;
  place(timer);
}

// The level is the highest group of six bits in which the expiry differs from now: within it, slots are unambiguous.
void TimerWheel::place(Timer& timer) {
  if (timer.expires_ms_ <= now_ms_) {
    due_.push_back(timer);
    return;
  }
  constexpr uint64_t horizon = (uint64_t{1} << (levels * slot_bits)) - 1;
  uint64_t when = std::min(timer.expires_ms_, now_ms_ | horizon);
  unsigned level = (63u - static_cast<unsigned>(__builtin_clzll(when ^ now_ms_))) / slot_bits;
  unsigned slot = static_cast<unsigned>(when >> (level * slot_bits)) & (slots - 1);
  level_[level].slot[slot].push_back(timer);
  level_[level].occupied |= uint64_t{1} << slot;
  if (first_ && when < first_starts_ms_) first_ = nullptr;
}

// The occupied slot that begins first. All occupied slots of a level lie after the current one (place() put them there), so the
// lowest set bit above the current slot is the nearest, and a lower level always comes before a higher one.
bool TimerWheel::first_slot(unsigned& level, unsigned& slot, uint64_t& starts_ms) {
  for (level = 0; level < levels; ++level) {
    Level& l = level_[level];
    while (l.occupied) {
      slot = static_cast<unsigned>(__builtin_ctzll(l.occupied));
      if (l.slot[slot].empty()) {
        l.occupied &= ~(uint64_t{1} << slot);
        continue;
      }
      unsigned shift = level * slot_bits;
      uint64_t above = shift + slot_bits >= 64 ? 0 : now_ms_ >> (shift + slot_bits) << (shift + slot_bits);
      starts_ms = above | (uint64_t{slot} << shift);
      return true;
    }
  }
  return false;
}

bool TimerWheel::find_first() {
  if (first_ && !first_->empty()) return true;
  unsigned level, slot;
  first_ = first_slot(level, slot, first_starts_ms_) ? &level_[level].slot[slot] : nullptr;
  return first_ != nullptr;
}

uint64_t TimerWheel::next_ms() {
  if (!due_.empty()) return now_ms_;
  return find_first() ? first_starts_ms_ : never;
}

void TimerWheel::expire(uint64_t now_ms) {
  while (find_first() && first_starts_ms_ <= now_ms) {
    now_ms_ = std::max(now_ms_, first_starts_ms_);
    List<Timer> moved;
    moved.append(*std::exchange(first_, nullptr));  // its bit of `occupied` is stale now
    while (Timer* timer = moved.pop_front()) place(*timer);
  }
  now_ms_ = std::max(now_ms_, now_ms);
  List<Timer> expired;  // timers armed for the past by the callbacks below wait for the next turn
  expired.append(due_);
  while (Timer* timer = expired.pop_front()) timer->on_expire_(*timer);
}

}  // namespace fairlead
