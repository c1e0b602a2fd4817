// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Task<T>: a lazy coroutine that one holder awaits, in the place where it was made, or keeps (Child, Nursery).
//
// The rules, and why they hold in every build mode:
// - A child is started by a plain resume and the parent goes on if it is done: no symmetric transfer, so no stack growth.
// - When a waiting frame is resumed by the loop and finishes, its parent is resumed from the same loop below (resume_chain),
//   not from inside the child: stack depth does not depend on the depth of the chain, and the child is at rest when the
//   parent destroys it.
// - A Task is destroyed only by the object that holds it. Destroying a suspended tree runs every destructor once:
//   cancellation is destruction. Destroying a frame of the chain that is running is a bug and asserts; such a cancel goes
//   through the ready list.
#pragma once

#include <coroutine>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "core/base/error.h"
#include "core/base/pool.h"

namespace fairlead {

class PromiseBase;

// Told when a task that nobody awaits with co_await is done. Gives the frame to resume next, or nullptr. The finished frame is at rest
// and may be destroyed.
class Completion {
 public:
  virtual PromiseBase* done(PromiseBase& finished) = 0;

 protected:
  ~Completion() = default;
};

class PromiseBase {
 public:
  PromiseBase() = default;
  PromiseBase(const PromiseBase&) = delete;
  PromiseBase& operator=(const PromiseBase&) = delete;

  static void* operator new(size_t bytes) { return pool_allocate(bytes); }
  static void operator delete(void* frame, size_t bytes) noexcept { pool_release(frame, bytes); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  std::suspend_always final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { assertion_failed("no exceptions", __FILE__, __LINE__); }

  std::coroutine_handle<PromiseBase> handle() { return std::coroutine_handle<PromiseBase>::from_promise(*this); }
  void set_parent(PromiseBase* parent) { next_ = reinterpret_cast<uintptr_t>(parent); }
  void set_completion(Completion* completion) { next_ = reinterpret_cast<uintptr_t>(completion) | 1; }
  bool is_running() const { return running_; }

  // Runs this frame until it waits; true if it is done then.
  bool run() {
    running_ = true;
    handle().resume();
    running_ = false;
    return handle().done();
  }
  // Who goes on after this finished frame.
  PromiseBase* follower() {
    if ((next_ & 1) == 0) return reinterpret_cast<PromiseBase*>(next_);
    return reinterpret_cast<Completion*>(next_ & ~uintptr_t{1})->done(*this);
  }

 private:
  uintptr_t next_ = 0;  // PromiseBase*, or Completion* with the lowest bit set
  bool running_ = false;
};

// Resumes `frame` and then, as long as frames finish, those who wait for them. Called by the loop, the nursery and Yield only.
inline void resume_chain(PromiseBase* frame) {
  while (frame && frame->run()) frame = frame->follower();
}

template <class T>
class [[nodiscard]] Task {
 public:
  class promise_type : public PromiseBase {
   public:
    promise_type() { static_assert(alignof(promise_type) <= 16); }
    ~promise_type() { if (has_value_) value_.~T(); }
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    template <class U>
    void return_value(U&& value) {
      new (&value_) T(std::forward<U>(value));
      has_value_ = true;
    }
    T take() {
      FL_ASSERT(has_value_);
      return std::move(value_);
    }

   private:
    bool has_value_ = false;
    union { T value_; };
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() { reset(); }

  explicit operator bool() const { return handle_ != nullptr; }
  // Destroys the frame: cancels what it waits for.
  void reset() {
    if (!handle_) return;
    FL_ASSERT(!handle_.promise().is_running());
    std::exchange(handle_, nullptr).destroy();
  }
  promise_type& promise() { return handle_.promise(); }

  struct Awaiter {
    std::coroutine_handle<promise_type> child;
    bool await_ready() { return child.promise().run(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> parent) { child.promise().set_parent(&parent.promise()); }
    T await_resume() { return child.promise().take(); }
  };
  Awaiter operator co_await() const {
    FL_ASSERT(handle_);
    return Awaiter{handle_};
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace fairlead
