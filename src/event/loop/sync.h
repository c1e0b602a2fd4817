// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Waiting for each other inside one worker: Event and Semaphore. Both resume through the ready list, so setting one
// never runs foreign code under the caller's feet.
#pragma once

#include "event/loop/loop.h"

namespace fairlead {

// A frame waiting in a list of waiters, with an optional deadline. Base of the awaiters below.
class Waiter : public Resumable {
 public:
  Waiter(Loop& loop, uint64_t deadline_ms) : Resumable(&Waiter::on_turn), timer_(this), loop_(loop), deadline_ms_(deadline_ms) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

 protected:
  friend class Event;
  friend class Semaphore;
  void suspend(PromiseBase& frame, List<Waiter>& list);
  // Moves it from its list to the ready list.
  void wake() {
    woken_ = true;
    unlink();
    timer_.disarm();
    loop_.ready(*this);
  }
  WaitStatus status() const { return woken_ ? WaitStatus::ready : WaitStatus::timeout; }

 private:
  struct OwnTimer : Timer {
    explicit OwnTimer(Waiter* owner) : Timer([](Timer& t) { on_timeout(*static_cast<OwnTimer&>(t).waiter); }), waiter(owner) {}
    Waiter* waiter;
  };
  static void on_turn(Resumable& self) {
    auto& waiter = static_cast<Waiter&>(self);
    waiter.loop_.resume(waiter.frame_);
  }
  static void on_timeout(Waiter& waiter);

  OwnTimer timer_;
  Loop& loop_;
  PromiseBase* frame_ = nullptr;
  uint64_t deadline_ms_;
  bool woken_ = false;
};

// Set once (or again after reset); all who wait go on.
class Event {
 public:
  explicit Event(Loop& loop) : loop_(loop) {}
  bool is_set() const { return set_; }
  void set() {
    set_ = true;
    while (Waiter* waiter = waiters_.front()) waiter->wake();
  }
  void reset() { set_ = false; }

  class Wait : public Waiter {
   public:
    Wait(Event& event, uint64_t deadline_ms) : Waiter(event.loop_, deadline_ms), event_(event) {}
    bool await_ready() {
      woken_by_set_ = event_.set_;
      return woken_by_set_;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> frame) { suspend(frame.promise(), event_.waiters_); }
    WaitStatus await_resume() const { return woken_by_set_ ? WaitStatus::ready : status(); }

   private:
    Event& event_;
    bool woken_by_set_ = false;
  };
  // co_await event.wait(deadline_ms): deadline absolute, 0 for none.
  Wait wait(uint64_t deadline_ms = 0) { return Wait(*this, deadline_ms); }

 private:
  Loop& loop_;
  bool set_ = false;
  List<Waiter> waiters_;
};

// Counts units; acquire() waits in order of arrival. A unit that was handed to a waiter which is destroyed before it ran comes back.
class Semaphore {
 public:
  Semaphore(Loop& loop, size_t units) : loop_(loop), units_(units) {}
  size_t available() const { return units_; }
  // Of the waiters those that no unit has been given to.
  size_t waiting() const {
    size_t count = 0;
    for (const Waiter* at = waiters_.front(); at; at = waiters_.next(*at)) ++count;
    return count;
  }
  bool try_acquire() {
    if (units_ == 0 || !waiters_.empty()) return false;
    --units_;
    return true;
  }
  void release(size_t units = 1) {
    for (units_ += units; units_ > 0 && !waiters_.empty(); --units_) waiters_.front()->wake();
  }

  class Acquire : public Waiter {
   public:
    Acquire(Semaphore& semaphore, uint64_t deadline_ms) : Waiter(semaphore.loop_, deadline_ms), semaphore_(semaphore) {}
    ~Acquire() {
      if (waiting_ && status() == WaitStatus::ready) semaphore_.release();
    }
    bool await_ready() { return at_once_ = semaphore_.try_acquire(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> frame) {
      waiting_ = true;
      suspend(frame.promise(), semaphore_.waiters_);
    }
    WaitStatus await_resume() {
      waiting_ = false;
      return at_once_ ? WaitStatus::ready : status();
    }

   private:
    Semaphore& semaphore_;
    bool at_once_ = false;
    bool waiting_ = false;
  };
  Acquire acquire(uint64_t deadline_ms = 0) { return Acquire(*this, deadline_ms); }

 private:
  Loop& loop_;
  size_t units_;
  List<Waiter> waiters_;
};

}  // namespace fairlead
