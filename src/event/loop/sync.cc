// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/loop/sync.h"

namespace fairlead {

void Waiter::suspend(PromiseBase& frame, List<Waiter>& list) {
  frame_ = &frame;
  list.push_back(*this);
  if (deadline_ms_) loop_.timers().arm(timer_, deadline_ms_);
}

void Waiter::on_timeout(Waiter& waiter) {
  waiter.unlink();
  waiter.loop_.resume(waiter.frame_);
}

}  // namespace fairlead
