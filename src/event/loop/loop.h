// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The event loop of a worker: descriptors, timers, the ready list. Only the loop resumes waiting frames, directly from an event or
// a timer, or by way of the ready list. It knows nothing of sockets or protocols.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/base/list.h"
#include "event/loop/poller.h"
#include "event/loop/task.h"
#include "event/loop/timer.h"

namespace fairlead {

class Loop;

// Something that can stand on the ready list. Unlinks itself when destroyed.
class Resumable : public Link {
 public:
  using Fire = void (*)(Resumable&);
  explicit Resumable(Fire on_fire) : fire_(on_fire) {}
  void fire() { fire_(*this); }

 private:
  Fire fire_;
};

enum class Direction : uint8_t { read, write };
enum class WaitStatus : uint8_t { ready, timeout };

class IoWait;

// A registered descriptor: what is known of its readiness, and who waits. Lives in the Loop, at a stable address, from watch() to
// unwatch(). The owner of the descriptor keeps the pointer. It is its own timer: one for both directions, moved lazily, so it may
// fire before the earliest deadline, never after it.
class Watch : private Timer {
 public:
  Loop& loop() const { return *loop_; }
  int fd() const { return fd_; }
  // May a read (write) succeed? The transport clears it after a short read (write); an event sets it.
  bool is_ready(Direction direction) const { return ready_[static_cast<int>(direction)]; }
  void set_ready(Direction direction, bool ready) { ready_[static_cast<int>(direction)] = ready; }
  bool has_hung_up() const { return hangup_; }
  // What is written from here on may wait for the end of the connection and share its packet. The end must follow without a wait.
  void announce_end() { end_follows_ = true; }
  bool end_follows() const { return end_follows_; }
  // Moves the deadline of whoever waits to read forward to `deadline_ms` (absolute; never back): a draining worker and its idle clients.
  void limit_read_wait(uint64_t deadline_ms);
  // Fired through the ready list at each event that sets hangup, or makes it readable if `on_readable` (idle upstream connections), or
  // writable if `on_writable` (sockets of c-ares). At most one; nullptr removes it. The owner outlives the registration.
  void alert(Resumable* resumable, bool on_readable = false, bool on_writable = false) {
    alert_ = resumable;
    alert_on_readable_ = on_readable;
    alert_on_writable_ = on_writable;
  }

 private:
  friend class Loop;
  friend class IoWait;
  explicit Watch(Loop& loop) : Timer(&Watch::on_timer), loop_(&loop) {}
  static void on_timer(Timer& timer);
  bool alerts_on(bool readable, bool writable, bool hangup) const {
    return alert_ && (hangup || (readable && alert_on_readable_) || (writable && alert_on_writable_));
  }
  void wake(Direction direction, WaitStatus status);
  void arm_deadline(uint64_t deadline_ms);

  Loop* loop_;
  int fd_ = -1;
  uint32_t index_ = 0;
  uint32_t sequence_ = 0;
  bool ready_[2] = {false, false};
  bool hangup_ = false;
  bool end_follows_ = false;
  bool alert_on_readable_ = false;
  bool alert_on_writable_ = false;
  Resumable* alert_ = nullptr;
  IoWait* waiting_[2] = {nullptr, nullptr};  // singly linked: TLS may add a reader that needs to write
};

// Awaits readiness of a descriptor: co_await wait(watch, Direction::read, deadline_ms). The deadline is absolute (Loop::now_ms),
// 0 for none. Destroying it leaves the queue. Counts against the turn budget: after 16 waits that were ready at once the frame
// goes to the back of the ready list.
class IoWait : public Resumable {
 public:
  IoWait(Watch& watch, Direction direction, uint64_t deadline_ms)
      : Resumable(&IoWait::on_turn), watch_(&watch), deadline_ms_(deadline_ms), direction_(direction) {}
  ~IoWait() { leave(); }
  IoWait(const IoWait&) = delete;
  IoWait& operator=(const IoWait&) = delete;

  bool await_ready();
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) { suspend(frame.promise()); }
  WaitStatus await_resume() const { return status_; }

 private:
  friend class Watch;
  friend class Loop;
  static void on_turn(Resumable& self);
  void suspend(PromiseBase& frame);
  void leave();

  Watch* watch_;
  PromiseBase* frame_ = nullptr;
  IoWait* next_ = nullptr;
  uint64_t deadline_ms_;
  Direction direction_;
  bool queued_ = false;
  WaitStatus status_ = WaitStatus::ready;
};

class Loop {
 public:
  // Opens the poller (nullptr: the best one). One loop per process at a time.
  static Result<std::unique_ptr<Loop>> open(const char* poller_name = nullptr);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Turns until stop(). What is on the ready list when it is called is run.
  void run();
  // One turn: waits at most `limit_ms` (-1: as long as nothing happens).
  void turn(int limit_ms);
  void stop() { stopped_ = true; }

  // Cached monotonic time, milliseconds; moves once per turn.
  uint64_t now_ms() const { return now_ms_; }
  // `now + timeout`, or 0 (no deadline) for a timeout of 0.
  uint64_t deadline(uint64_t timeout_ms) const { return timeout_ms ? now_ms_ + timeout_ms : 0; }
  TimerWheel& timers() { return timers_; }
  void arm(Timer& timer, uint64_t timeout_ms) { timers_.arm(timer, now_ms_ + timeout_ms); }

  // Puts `resumable` at the end of the ready list; nothing if it is on a list already.
  void ready(Resumable& resumable) {
    if (!resumable.linked()) ready_.push_back(resumable);
  }
  // Runs once, after the ready list of this turn: for writes that gather what the turn produced.
  void at_turn_end(Resumable& resumable) {
    if (!resumable.linked()) turn_end_.push_back(resumable);
  }

  // Registers a descriptor.
  Result<Watch*> watch(int fd, PollMode mode);
  // Of no descriptor: only raise() makes it ready (in-memory transports).
  Watch* watch_memory();
  // Ends it; waiters must be gone. `keep_open`: the descriptor is not about to be closed, so it is removed from the poller.
  void unwatch(Watch* watch, bool keep_open = false);
  // Reports readiness from outside the kernel.
  void raise(Watch& watch, bool readable, bool writable, bool hangup);

  // For awaiters, when their event or timer fires (never from inside a running frame): runs `frame` with a fresh budget.
  void resume(PromiseBase* frame) {
    budget_ = wait_budget;
    resume_chain(frame);
  }

  // Whether the next turn has something to run without any event or timer. For simulations: else they move the virtual clock.
  bool has_ready() const { return !ready_.empty() || !turn_end_.empty(); }

  const char* poller_name() const { return poller_->name(); }
  size_t watch_count() const { return watch_count_; }

  // True while the current turn may go on without a break (see IoWait).
  bool spend_budget() { return budget_ > 0 && budget_-- > 0; }
  // The running frame has had its share: its next IoWait goes to the back of the ready list.
  void end_budget() { budget_ = 0; }

 private:
  static constexpr unsigned watches_per_block = 32, wait_budget = 16;
  explicit Loop(std::unique_ptr<Poller> poller);
  void dispatch(const PollEvent& event);
  void run_list(List<Resumable>& list);
  Watch* at(uint32_t index) const;
  Watch& spare_watch();
  Watch* use(Watch& spare, int fd);

  std::unique_ptr<Poller> poller_;
  uint64_t now_ms_;
  List<Resumable> ready_, turn_end_;
  std::vector<Watch*> blocks_;     // each of watches_per_block, from the heap
  std::vector<uint32_t> unused_;   // indexes
  uint32_t next_sequence_ = 1;
  size_t watch_count_ = 0;
  unsigned budget_ = wait_budget;
  bool stopped_ = false;
  TimerWheel timers_;  // long: behind what each turn looks at
};

inline bool IoWait::await_ready() { return watch_->is_ready(direction_) && watch_->loop().spend_budget(); }

// Sleep: co_await Sleep(loop, ms).
class Sleep {
 public:
  Sleep(Loop& loop, uint64_t timeout_ms) : loop_(loop), timeout_ms_(timeout_ms), timer_(this) {}
  Sleep(const Sleep&) = delete;
  Sleep& operator=(const Sleep&) = delete;
  bool await_ready() const { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    frame_ = &frame.promise();
    loop_.arm(timer_, timeout_ms_);
  }
  void await_resume() const {}

 private:
  struct OwnTimer : Timer {
    explicit OwnTimer(Sleep* owner) : Timer([](Timer& t) { fire(*static_cast<OwnTimer&>(t).sleep); }), sleep(owner) {}
    Sleep* sleep;
  };
  static void fire(Sleep& sleep) { sleep.loop_.resume(sleep.frame_); }
  Loop& loop_;
  uint64_t timeout_ms_;
  PromiseBase* frame_ = nullptr;
  OwnTimer timer_;
};

// Goes to the back of the ready list: co_await Yield(loop).
class Yield : public Resumable {
 public:
  explicit Yield(Loop& loop) : Resumable([](Resumable& r) { resume_chain(static_cast<Yield&>(r).frame_); }), loop_(loop) {}
  bool await_ready() const { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    frame_ = &frame.promise();
    loop_.ready(*this);
  }
  void await_resume() const {}

 private:
  Loop& loop_;
  PromiseBase* frame_ = nullptr;
};

}  // namespace fairlead
