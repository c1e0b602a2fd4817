// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/loop/loop.h"

#include <algorithm>
#include <climits>
#include <new>

#include "core/base/clock.h"
#include "core/shm/lock.h"

namespace fairlead {

Result<std::unique_ptr<Loop>> Loop::open(const char* poller_name) {
  auto poller = open_poller(poller_name);
  if (!poller) return poller.error();
  return std::unique_ptr<Loop>(new Loop(std::move(*poller)));
}

static uint64_t read_clock() {
  clock().update();
  return clock().now_ms();
}

Loop::Loop(std::unique_ptr<Poller> poller) : poller_(std::move(poller)), now_ms_(read_clock()), timers_(now_ms_) {}

Loop::~Loop() {
  FL_ASSERT(watch_count_ == 0);
  for (Watch* block : blocks_) ::operator delete(block);
}

Watch* Loop::at(uint32_t index) const { return blocks_[index / watches_per_block] + index % watches_per_block; }

// Out of use until use() takes it.
Watch& Loop::spare_watch() {
  if (unused_.empty()) {
    Watch* block = static_cast<Watch*>(::operator new(sizeof(Watch) * watches_per_block));
    for (unsigned i = 0; i < watches_per_block; ++i) {
      new (block + i) Watch(*this);  // a Watch outside use has sequence 0, which no token carries
      unused_.push_back(static_cast<uint32_t>(blocks_.size() * watches_per_block + watches_per_block - 1 - i));
    }
    blocks_.push_back(block);
  }
  if (next_sequence_ == 0) next_sequence_ = 1;  // 0 marks a watch outside use
  return *at(unused_.back());
}

Watch* Loop::use(Watch& spare, int fd) {
  spare.fd_ = fd;
  spare.index_ = unused_.back();
  spare.sequence_ = next_sequence_++;
  unused_.pop_back();
  ++watch_count_;
  return &spare;
}

Result<Watch*> Loop::watch(int fd, PollMode mode) {
  FL_ASSERT(fd >= 0);
  Watch& spare = spare_watch();
  auto added = poller_->add(fd, mode, uint64_t{unused_.back()} << 32 | next_sequence_);
  if (!added) return added.error();
  return use(spare, fd);
}

Watch* Loop::watch_memory() { return use(spare_watch(), -1); }

void Loop::unwatch(Watch* w, bool keep_open) {
  FL_ASSERT(w->sequence_ != 0 && !w->waiting_[0] && !w->waiting_[1]);
  if (keep_open && w->fd_ >= 0) poller_->remove(w->fd_);
  uint32_t index = w->index_;
  w->~Watch();
  new (w) Watch(*this);
  unused_.push_back(index);
  --watch_count_;
}

void Loop::raise(Watch& w, bool readable, bool writable, bool hangup) {
  if (readable) w.ready_[0] = true;
  if (writable) w.ready_[1] = true;
  if (hangup) w.hangup_ = true;
  if (w.alerts_on(readable, writable, hangup)) ready(*w.alert_);
  for (int d = 0; d < 2; ++d)
    if (w.ready_[d])
      for (IoWait* waiter = w.waiting_[d]; waiter; waiter = waiter->next_) ready(*waiter);
}

void Loop::dispatch(const PollEvent& event) {
  uint32_t index = static_cast<uint32_t>(event.token >> 32), sequence = static_cast<uint32_t>(event.token);
  Watch* w = at(index);
  if (w->sequence_ != sequence) return;  // an event of a descriptor that was closed earlier in this batch
  if (event.readable) w->ready_[0] = true;
  if (event.writable) w->ready_[1] = true;
  if (event.hangup) w->hangup_ = true;
  if (w->alerts_on(event.readable, event.writable, event.hangup)) ready(*w->alert_);
  if (event.readable && w->waiting_[0]) w->wake(Direction::read, WaitStatus::ready);
  if (event.writable && w->sequence_ == sequence && w->waiting_[1]) w->wake(Direction::write, WaitStatus::ready);
}

void Loop::run_list(List<Resumable>& list) {
  List<Resumable> now;  // what is added meanwhile waits for the next turn
  now.append(list);
  while (Resumable* resumable = now.pop_front()) {
    budget_ = wait_budget;
    resumable->fire();
  }
}

void Loop::turn(int limit_ms) {
  int timeout = limit_ms;
  if (!ready_.empty()) {
    timeout = 0;
  } else if (uint64_t next = timers_.next_ms(); next != TimerWheel::never) {
    uint64_t wait = next > now_ms_ ? next - now_ms_ : 0;
    if (timeout < 0 || wait < static_cast<uint64_t>(timeout)) timeout = static_cast<int>(std::min<uint64_t>(wait, INT_MAX));
  }
  FL_ASSERT(shm_locks_held() == 0);
  PollEvent events[512];
  int count = poller_->wait(events, 512, timeout);
  now_ms_ = read_clock();
  // The memory of the next event's waiter comes while this event is served: it went cold while it waited.
  auto fetch_ahead = [this](const PollEvent& event) {
    const IoWait* waiter = at(static_cast<uint32_t>(event.token >> 32))->waiting_[0];
    for (int line = -3; waiter && line < 5; ++line) __builtin_prefetch(reinterpret_cast<const char*>(waiter) + line * 64);
  };
  for (int i = 0; i < count; ++i) {
    if (i + 1 < count) fetch_ahead(events[i + 1]);
    dispatch(events[i]);
  }
  timers_.advance(now_ms_);
  if (!ready_.empty()) run_list(ready_);
  if (!turn_end_.empty()) run_list(turn_end_);
}

void Loop::run() {
  stopped_ = false;
  while (!stopped_) turn(-1);
}

// Readiness wakes all waiters of the direction; only the first is resumed from here, the rest through the ready list, because the
// first may end the connection.
void Watch::wake(Direction direction, WaitStatus status) {
  int d = static_cast<int>(direction);
  IoWait* waiter = waiting_[d];
  if (!waiter) return;
  for (IoWait* other = waiter->next_; other; other = other->next_) loop_->ready(*other);
  waiting_[d] = waiter->next_;
  waiter->queued_ = false;
  waiter->unlink();
  waiter->status_ = status;
  loop_->resume(waiter->frame_);
}

void Watch::arm_deadline(uint64_t deadline_ms) {
  if (!armed() || expires_ms() > deadline_ms) loop_->timers().arm(*this, deadline_ms);
}

void Watch::limit_read_wait(uint64_t deadline_ms) {
  for (IoWait* waiter = waiting_[0]; waiter; waiter = waiter->next_) {
    if (waiter->deadline_ms_ && waiter->deadline_ms_ <= deadline_ms) continue;
    waiter->deadline_ms_ = deadline_ms;
    arm_deadline(deadline_ms);
  }
}

void Watch::on_timer(Timer& timer) {
  Watch& w = static_cast<Watch&>(timer);
  Loop& loop = *w.loop_;
  uint64_t next = TimerWheel::never;
  IoWait* expired = nullptr;
  for (IoWait* head : w.waiting_) {
    for (IoWait* waiter = head; waiter; waiter = waiter->next_) {
      if (waiter->deadline_ms_ == 0) continue;
      if (waiter->deadline_ms_ <= loop.now_ms()) {
        if (!expired) expired = waiter;
        next = loop.now_ms();  // more than one: the timer comes again
      } else {
        next = std::min(next, waiter->deadline_ms_);
      }
    }
  }
  if (next != TimerWheel::never) loop.timers().arm(timer, next);
  if (!expired) return;
  expired->leave();
  expired->status_ = WaitStatus::timeout;
  loop.resume(expired->frame_);
}

void IoWait::suspend(PromiseBase& frame) {
  frame_ = &frame;
  int d = static_cast<int>(direction_);
  next_ = watch_->waiting_[d];
  watch_->waiting_[d] = this;
  queued_ = true;
  if (deadline_ms_) watch_->arm_deadline(deadline_ms_);
  if (watch_->ready_[d]) watch_->loop_->ready(*this);  // the budget is spent: another turn
}

void IoWait::leave() {
  if (!queued_) return;
  queued_ = false;
  IoWait** at = &watch_->waiting_[static_cast<int>(direction_)];
  while (*at != this) at = &(*at)->next_;
  *at = next_;
}

void IoWait::on_turn(Resumable& self) {
  auto& wait = static_cast<IoWait&>(self);
  wait.leave();
  wait.status_ = WaitStatus::ready;
  wait.watch_->loop_->resume(wait.frame_);
}

}  // namespace fairlead
