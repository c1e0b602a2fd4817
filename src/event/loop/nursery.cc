// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/loop/nursery.h"

namespace fairlead {

class Nursery::Node final : public Link, public Completion {
 public:
  Node(Nursery& nursery, Task<Unit> task) : nursery_(nursery), task_(std::move(task)) {}
  PromiseBase* done(PromiseBase&) override {
    nursery_.forget(this);
    return nullptr;
  }
  bool run() {
    task_.promise().set_completion(this);
    return task_.promise().run();
  }
  static void* operator new(size_t bytes) { return pool_allocate(bytes); }
  static void operator delete(void* node, size_t bytes) { pool_release(node, bytes); }

 private:
  Nursery& nursery_;
  Task<Unit> task_;
};

bool Nursery::spawn(Task<Unit> task) {
  if (closed_) return false;
  Node* node = new Node(*this, std::move(task));
  nodes_.push_back(*node);
  ++count_;
  if (node->run()) forget(node);
  return true;
}

void Nursery::forget(Node* node) {
  node->unlink();
  delete node;
  if (--count_ == 0 && waiter_) loop_.ready(*waiter_);
}

void Nursery::cancel() {
  while (Node* node = nodes_.pop_front()) {
    delete node;
    --count_;
  }
  if (waiter_) loop_.ready(*waiter_);
}

}  // namespace fairlead
