// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Nursery: the only place where work is spawned. Its owner waits for the children (close, then co_await all_done) or cancels them.
#pragma once

#include "core/base/list.h"
#include "event/loop/loop.h"
#include "event/loop/task.h"

namespace fairlead {

class Nursery {
 public:
  explicit Nursery(Loop& loop) : loop_(loop) {}
  // Cancels what is left. Must not run inside one of its children.
  ~Nursery() { cancel(); }
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  // Starts `task` at once, by plain resume. False, and the task is destroyed unstarted, after close().
  bool spawn(Task<Unit> task);
  // Nothing new is spawned from now on.
  void close() { closed_ = true; }
  // Destroys all children where they wait. Not from inside a child: go through the ready list.
  void cancel();
  size_t count() const { return count_; }

  // co_await nursery.all_done(): resumes (through the ready list) when no child is left.
  class AllDone : public Resumable {
   public:
    explicit AllDone(Nursery& nursery) : Resumable([](Resumable& r) { resume_chain(static_cast<AllDone&>(r).frame_); }), nursery_(nursery) {}
    ~AllDone() {
      if (nursery_.waiter_ == this) nursery_.waiter_ = nullptr;
    }
    bool await_ready() const { return nursery_.count_ == 0; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> frame) {
      frame_ = &frame.promise();
      nursery_.waiter_ = this;
    }
    void await_resume() { nursery_.waiter_ = nullptr; }

   private:
    Nursery& nursery_;
    PromiseBase* frame_ = nullptr;
  };
  AllDone all_done() { return AllDone(*this); }

 private:
  class Node;
  void forget(Node* node);
  Loop& loop_;
  List<Node> nodes_;
  size_t count_ = 0;
  bool closed_ = false;
  AllDone* waiter_ = nullptr;
};

}  // namespace fairlead
