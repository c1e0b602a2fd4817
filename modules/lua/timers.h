// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.timer: functions that run later, without a request. State of the worker. A draining worker runs what is pending at once, told that it
// is premature, and waits for what runs; so it does for what the requests that it still had start at their end.
#pragma once

#include <lua.hpp>

#include "event/loop/nursery.h"
#include "event/loop/sync.h"

namespace fairlead {
class Worker;
}

namespace fairlead::lua {

class Vm;

class Timers {
 public:
  explicit Timers(Worker& worker);
  // Ends what runs, then the machine: whatever of the worker used it is gone by now.
  ~Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  // The function and `arguments` values behind it stand on top of L and are taken from it. nullptr: it is armed; else what is wrong.
  const char* add(lua_State* L, int arguments, uint64_t delay_ms, bool repeats);
  // From now on nobody would run what is added: all have been processed, the worker ends.
  void end() { over_ = true; }
  bool are_over() const { return over_; }
  size_t running() const { return running_; }
  size_t pending() const { return pending_; }
  // The worker drains: runs what is pending, waits for what runs.
  Task<Unit> leave();
  // No connection is left: waits for what their last requests started.
  Task<Unit> finish();

 private:
  // A function with its arguments, on a Lua stack of its own.
  class Held;
  Task<Unit> wait_and_run(Held held, uint64_t delay_ms, bool repeats);
  Task<Unit> run(Held held, bool premature);
  void start_run(const Held& held, bool premature);

  Worker& worker_;
  Event leaving_;
  size_t running_ = 0;
  size_t pending_ = 0;
  bool over_ = false;
  Nursery nursery_;  // last: its tasks use the rest
};

}  // namespace fairlead::lua
