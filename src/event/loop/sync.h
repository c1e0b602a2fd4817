// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Waiting for each other inside one worker: Event, Gate, Semaphore, Queue<T>. All of them resume through the ready list, so setting one
// never runs foreign code under the caller's feet.
#pragma once

#include <deque>
#include <optional>

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

// Counts work in flight, so that shutdown is a wait and not a flag: enter() fails after close().
class Gate {
 public:
  explicit Gate(Loop& loop) : empty_(loop) { empty_.set(); }
  bool enter() {
    if (closed_) return false;
    if (count_++ == 0) empty_.reset();
    return true;
  }
  void leave() {
    FL_ASSERT(count_ > 0);
    if (--count_ == 0) empty_.set();
  }
  void close() { closed_ = true; }
  bool is_closed() const { return closed_; }
  size_t count() const { return count_; }
  Event::Wait emptied(uint64_t deadline_ms = 0) { return empty_.wait(deadline_ms); }

 private:
  Event empty_;
  size_t count_ = 0;
  bool closed_ = false;
};

// A bounded queue with one or more takers. push() is plain and fails when full; after close() takers drain it and then get nothing.
template <class T>
class Queue {
 public:
  Queue(Loop& loop, size_t most) : most_(most), filled_(loop) {}
  bool push(T value) {
    if (closed_ || items_.size() >= most_) return false;
    items_.push_back(std::move(value));
    filled_.set();
    return true;
  }
  void close() {
    closed_ = true;
    filled_.set();
  }
  size_t size() const { return items_.size(); }
  std::optional<T> try_take() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    if (items_.empty() && !closed_) filled_.reset();
    return item;
  }
  // Nothing: closed and empty.
  Task<std::optional<T>> take() {
    while (items_.empty() && !closed_) co_await filled_.wait();
    co_return try_take();
  }

 private:
  size_t most_;
  std::deque<T> items_;
  Event filled_;
  bool closed_ = false;
};

}  // namespace fairlead
