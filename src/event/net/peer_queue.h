// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PeerQueue: requests of one worker that wait until a peer of their group can be used, first come, first served. It knows no peers: the
// first in the queue looks for one whenever it is told to, and from time to time, for what happens in other workers and the end of a ban
// tell nobody.
#pragma once

#include <algorithm>

#include "core/base/list.h"
#include "core/upstream/group.h"
#include "event/loop/sync.h"

namespace fairlead {

class PeerQueue {
 public:
  PeerQueue(Loop& loop, const QueueLimits& limits) : loop_(loop), limits_(limits) {}
  ~PeerQueue() { FL_ASSERT(places_.empty()); }
  PeerQueue(const PeerQueue&) = delete;
  PeerQueue& operator=(const PeerQueue&) = delete;

  bool is_empty() const { return size_ == 0; }
  bool is_full() const { return size_ >= limits_.most; }
  const QueueLimits& limits() const { return limits_; }
  // A peer may be free now.
  void wake() {
    if (Place* first = places_.front()) first->turn_.set();
  }

  // One who waits, from the end of the queue on. Lies in the waiting frame: whoever leaves, for whatever reason, passes the turn on.
  class Place : public Link {
   public:
    explicit Place(PeerQueue& queue) : queue_(queue), turn_(queue.loop_) {
      queue_.places_.push_back(*this);
      ++queue_.size_;
    }
    ~Place() {
      unlink();
      --queue_.size_;
      queue_.wake();
    }
    bool is_first() const { return queue_.places_.front() == this; }
    // co_await: until it is this one's turn to look for a peer, or until `deadline_ms` (absolute).
    Event::Wait turn(uint64_t deadline_ms) {
      turn_.reset();
      return turn_.wait(is_first() ? std::min(deadline_ms, queue_.loop_.now_ms() + look_again_ms) : deadline_ms);
    }

   private:
    friend class PeerQueue;
    PeerQueue& queue_;
    Event turn_;
  };

 private:
  static constexpr uint64_t look_again_ms = 50;
  Loop& loop_;
  const QueueLimits& limits_;
  List<Place> places_;
  size_t size_ = 0;
};

}  // namespace fairlead
