// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// lua_run_time_limit: a script that computes and never waits must not hold its worker for ever. The time is the process's own user time, by
// a virtual interval timer, so an idle worker is never woken. When one entry into Lua has used it up, a hook raises an error in the script
// at its next instruction, and at each further one, so no pcall survives it. Code that LuaJIT has compiled does not look at hooks: where
// that goes on for as long again, the worker ends with a line in the log and the master makes a new one. So it is with finalizers, where
// LuaJIT calls no hook.
//
// One per process; touched by the worker's thread and by a signal handler in it.
#pragma once

#include <lua.hpp>

#include <atomic>
#include <cstdint>

namespace fairlead::lua {

class Vm;

class RunLimit {
 public:
  // Watches from now on. `limit_ms` 0: not at all.
  static void start(Vm& vm, uint64_t limit_ms);
  static void stop();

  // Around each entry into Lua; the outermost one is what is limited. Several without the loop in between count as one within an Entry.
  static void enter(lua_State* machine) {
    if (depth_++ > 0) return;
    machine_.store(machine, std::memory_order_relaxed);
    count();
  }
  static void leave() {
    if (--depth_ > 0) return;
    count();
    if (armed_.load(std::memory_order_relaxed)) disarm();
  }
  class Entry {
   public:
    explicit Entry(lua_State* machine) { enter(machine); }
    ~Entry() { leave(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
  };
  // While a machine is closed: it must not be touched from outside. Finalizers that do not end do end the worker.
  class Closing {
   public:
    Closing() { closes_.store(true, std::memory_order_relaxed); }
    ~Closing() { closes_.store(false, std::memory_order_relaxed); }
    Closing(const Closing&) = delete;
    Closing& operator=(const Closing&) = delete;
  };

 private:
  static void on_tick(int);
  static void disarm();
  static void count() { entry_.store(entry_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
  static inline unsigned depth_ = 0;
  static inline std::atomic<lua_State*> machine_{nullptr};  // that was entered last
  static inline std::atomic<uint64_t> entry_{0};  // odd: inside
  static inline std::atomic<bool> armed_{false};
  static inline std::atomic<bool> closes_{false};
};

}  // namespace fairlead::lua
