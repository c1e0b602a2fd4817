// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Child<T>: one named task that runs beside its holder (an upload beside a reply, a light thread). The holder starts it, may await
// it once, and cancels it by destroying the Child. AnyOf awaits the first of two; Deadline bounds one task in time.
#pragma once

#include <initializer_list>
#include <optional>

#include "event/loop/loop.h"
#include "event/loop/task.h"

namespace fairlead {

class AnyOf;

class ChildBase : public Completion {
 public:
  bool is_done() const { return done_; }
  PromiseBase* done(PromiseBase&) override {
    done_ = true;
    return std::exchange(waiter_, nullptr);
  }

 protected:
  friend class AnyOf;
  bool done_ = false;
  PromiseBase* waiter_ = nullptr;
};

template <class T>
class Child final : public ChildBase {
 public:
  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool is_started() const { return static_cast<bool>(task_); }
  // Runs `task` until it waits or ends.
  void start(Task<T> task) {
    FL_ASSERT(!task_);
    task_ = std::move(task);
    done_ = false;
    task_.promise().set_completion(this);
    if (task_.promise().run()) done_ = true;
  }
  // Destroys it where it waits.
  void cancel() { task_.reset(); }
  T take() {
    FL_ASSERT(done_);
    return task_.promise().take();
  }

  bool await_ready() const { return done_; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    FL_ASSERT(task_);
    waiter_ = &frame.promise();
  }
  T await_resume() { return take(); }

 private:
  Task<T> task_;
};

// co_await AnyOf(a, b): resumes when one of two children is done (each may be unstarted: it never finishes).
class AnyOf {
 public:
  AnyOf(ChildBase& a, ChildBase& b) : a_(a), b_(b) {}
  ~AnyOf() { a_.waiter_ = b_.waiter_ = nullptr; }
  bool await_ready() const { return a_.is_done() || b_.is_done(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) { a_.waiter_ = b_.waiter_ = &frame.promise(); }
  void await_resume() { a_.waiter_ = b_.waiter_ = nullptr; }

 private:
  ChildBase& a_;
  ChildBase& b_;
};

// co_await Deadline<T>(loop, task, deadline_ms): the task's value, or nothing if the deadline (absolute, 0 for none) came first; then the
// task is destroyed.
template <class T>
class Deadline : public ChildBase {
 public:
  Deadline(Loop& loop, Task<T> task, uint64_t deadline_ms) : loop_(loop), task_(std::move(task)), deadline_ms_(deadline_ms), timer_(this) {}
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  bool await_ready() {
    task_.promise().set_completion(this);
    return done_ = task_.promise().run();
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    waiter_ = &frame.promise();
    if (deadline_ms_) loop_.timers().arm(timer_, deadline_ms_);
  }
  std::optional<T> await_resume() {
    timer_.disarm();
    if (!done_) {
      task_.reset();
      return std::nullopt;
    }
    return task_.promise().take();
  }

 private:
  struct OwnTimer : Timer {
    explicit OwnTimer(Deadline* owner)
        : Timer([](Timer& t) {
            Deadline* d = static_cast<OwnTimer&>(t).deadline;
            if (d->waiter_) d->loop_.resume(std::exchange(d->waiter_, nullptr));
          }),
          deadline(owner) {}
    Deadline* deadline;
  };
  Loop& loop_;
  Task<T> task_;
  uint64_t deadline_ms_;
  OwnTimer timer_;
};

}  // namespace fairlead
