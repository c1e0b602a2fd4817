// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Intrusive doubly linked list. The list owns nothing: an object unlinks itself (Link's destructor does it) before it dies.
#pragma once

#include <cstddef>

#include "core/base/error.h"

namespace fairlead {

// Embedded in an object that can be in one list at a time. Unlinks itself when destroyed. Not movable.
class Link {
 public:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { unlink(); }

  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (!next_) return;
    next_->prev_ = prev_;
    prev_->next_ = next_;
    next_ = prev_ = nullptr;
  }

 private:
  template <class T> friend class List;
  Link* next_ = nullptr;
  Link* prev_ = nullptr;
};

// A circular list of T, where T derives from Link.
template <class T>
class List {
 public:
  List() { head_.next_ = head_.prev_ = &head_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    while (!empty()) head_.next_->unlink();
    head_.next_ = head_.prev_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T* front() const { return empty() ? nullptr : static_cast<T*>(head_.next_); }
  T* back() const { return empty() ? nullptr : static_cast<T*>(head_.prev_); }
  // The element after `item`, or nullptr at the end. `item` must be in this list.
  T* next(const T& item) const { return item.Link::next_ == &head_ ? nullptr : static_cast<T*>(item.Link::next_); }
  void push_back(T& item) { insert(item, head_.prev_, &head_); }
  void push_front(T& item) { insert(item, &head_, head_.next_); }
  // Removes and returns the first element, or nullptr.
  T* pop_front() {
    T* item = front();
    if (item) static_cast<Link*>(item)->unlink();
    return item;
  }
  // Moves all elements of `other` to the end of this list.
  void append(List& other) {
    if (other.empty()) return;
    Link* first = other.head_.next_;
    Link* last = other.head_.prev_;
    first->prev_ = head_.prev_;
    head_.prev_->next_ = first;
    last->next_ = &head_;
    head_.prev_ = last;
    other.head_.next_ = other.head_.prev_ = &other.head_;
  }

 private:
  void insert(Link& item, Link* before, Link* after) {
    FL_ASSERT(!item.linked());
    item.prev_ = before;
    item.next_ = after;
    before->next_ = &item;
    after->prev_ = &item;
  }
  Link head_;
};

}  // namespace fairlead
