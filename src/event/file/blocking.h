// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// blocking(): file calls that may wait for a disk, made by a few threads while the loop goes on. One BlockingPool per worker and
// `thread_pool` line, owned by the Worker. No sockets here, and nothing that must not be lost: a call whose awaiter is gone is dropped.
//
// What the threads may touch: the callable that they were given, and the heap. Never the pool of core/base/pool.h, so no Segment may be
// made and no reference to one be copied or dropped by the callable; reading and writing the bytes of one that it holds is fine.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "event/loop/loop.h"

namespace fairlead {

class BlockingPool;

// One call: made, read and destroyed by the loop thread; in between a file thread runs it, once. The pool owns it from submit() on, until
// the awaiter that is told of its end takes it back.
class BlockingCall : public Link {
 public:
  virtual ~BlockingCall() = default;

 protected:
  BlockingCall() = default;
  // On a file thread.
  virtual void run() = 0;

 private:
  friend class BlockingPool;
  friend class BlockingWait;
  enum class State : uint8_t { waiting, running, done };
  State state_ = State::waiting;      // under the pool's mutex until `done` was seen by the loop thread
  class BlockingWait* waiter_ = nullptr;  // loop thread only; nullptr: orphaned
};

class BlockingPool {
 public:
  // `name` for the log. At most `threads_max` threads, each started when the first call finds no idle one; at most `queue_max` calls wait.
  explicit BlockingPool(Loop& loop, std::string name = "default", unsigned threads_max = 4, size_t queue_max = 65536);
  ~BlockingPool() { stop(); }
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  // Waits for the calls that run; those that did not begin end with Fault::canceled, as all later ones. From the loop thread, not from
  // inside an awaiting frame's destructor.
  void stop();

  const std::string& name() const { return name_; }
  Loop& loop() const { return loop_; }
  size_t thread_count() const { return threads_.size(); }
  // Calls that no thread has begun.
  size_t queued_count();
  // Calls refused since start because the queue was full.
  uint64_t refused_count() const { return refused_; }

 private:
  friend class BlockingWait;
  struct Drain : Resumable {
    explicit Drain(BlockingPool* p) : Resumable([](Resumable& r) { static_cast<Drain&>(r).pool->collect(); }), pool(p) {}
    BlockingPool* pool;
  };
  // Queues it, or says why not; then the caller keeps it.
  Result<Unit> submit(BlockingCall* call);
  // The waiter of `call` goes away.
  void orphan(BlockingCall* call);
  Result<Unit> open_signal();
  Result<Unit> start_thread();
  static void* thread_main(void* self);
  void work();
  void collect();
  void finish(BlockingCall* call);

  Loop& loop_;
  std::string name_;
  unsigned threads_max_;
  size_t queue_max_;
  std::vector<pthread_t> threads_;
  uint64_t refused_ = 0;
  bool stopped_ = false;
  Watch* signal_watch_ = nullptr;
  int signal_read_ = -1, signal_write_ = -1;  // the same descriptor where there is eventfd
  Drain drain_;

  std::mutex mutex_;  // everything below
  std::condition_variable filled_;
  List<BlockingCall> queue_, done_;
  size_t queued_ = 0;
  size_t idle_ = 0;
  bool ending_ = false;
};

// The waiting half, without a type: links itself to the call, orphans it when destroyed.
class BlockingWait : public Resumable {
 public:
  BlockingWait(const BlockingWait&) = delete;
  BlockingWait& operator=(const BlockingWait&) = delete;

 protected:
  explicit BlockingWait(BlockingPool& pool) : Resumable(&BlockingWait::on_turn), pool_(&pool), loop_(pool.loop_) {}
  ~BlockingWait();
  // False: not submitted, error() says why.
  bool submit(BlockingCall* call);
  void suspend(PromiseBase& frame) { frame_ = &frame; }
  bool has_ended() const { return ended_; }
  const Error& error() const { return error_; }

 private:
  friend class BlockingPool;
  static void on_turn(Resumable& self);

  BlockingPool* pool_;
  Loop& loop_;
  BlockingCall* call_ = nullptr;  // submitted; owned by the pool until ended_
  PromiseBase* frame_ = nullptr;
  bool ended_ = false;
  Error error_;
};

namespace blocking_detail {
// A callable that may fail by itself gives a Result: the answer is that one, not a Result in a Result.
template <class T> struct AnswerOf { using Type = Result<T>; };
template <class T> struct AnswerOf<Result<T>> { using Type = Result<T>; };
}  // namespace blocking_detail

template <class Function>
class Blocking final : public BlockingWait {
 public:
  using Value = decltype(std::declval<Function&>()());
  using Answer = typename blocking_detail::AnswerOf<Value>::Type;
  Blocking(BlockingPool& pool, Function function) : BlockingWait(pool), function_(std::move(function)) {}

  bool await_ready() {
    typed_call_ = new Call(std::move(function_));
    return !submit(typed_call_);
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) { suspend(frame.promise()); }
  Answer await_resume() {
    if (!has_ended()) return error();
    return std::move(*typed_call_->value);
  }

 private:
  struct Call final : BlockingCall {
    explicit Call(Function f) : function(std::move(f)) {}
    void run() override { value.emplace(function()); }
    Function function;
    std::optional<Value> value;
  };
  Function function_;
  Call* typed_call_ = nullptr;
};

// co_await blocking(pool, function): calls `function()` on a file thread and gives what it gives, as a Result. Errors besides its own:
// exhausted (the queue is full or there is no thread), canceled (the pool was stopped). Destroying the awaiter drops a call that has not
// begun; one that runs ends unheard, and its value and the callable are destroyed by the loop thread afterwards: what the call opened must
// be closed by the value's destructor (FileRef does; a bare int does not). Inside a coroutine name the awaiter first:
//   auto opening = blocking(pool, OpenFile{path});
//   auto file = co_await opening;
template <class Function>
Blocking<Function> blocking(BlockingPool& pool, Function function) {
  return Blocking<Function>(pool, std::move(function));
}

}  // namespace fairlead
