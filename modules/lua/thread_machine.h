// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Machines for ngx.run_worker_thread: a function of a Lua module runs on a thread of a `thread_pool`, in a machine of its own with the part
// of the API that needs no request and no loop. Only plain values go in and come out. A machine belongs to one call at a time, from its
// lease to the end of what was called, and then to the pool of its worker.
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "event/loop/loop.h"
#include "event/worker.h"
#include "modules/lua/plain_value.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {

struct ThreadCall {
  std::string module, function;
  std::vector<PlainValue> arguments;
};

struct ThreadOutcome {
  std::vector<PlainValue> values;
  std::optional<std::string> wrong;  // none: it went well
};

class ThreadMachine {
 public:
  ThreadMachine(Worker& worker, const Block& http) : vm_(worker.generation(), http) { vm_.enter_worker(worker); }
  ThreadMachine(const ThreadMachine&) = delete;
  ThreadMachine& operator=(const ThreadMachine&) = delete;

  // On the loop's thread, once.
  ConfResult<Unit> open() { return vm_.open(Vm::Api::thread); }
  // On a file thread.
  ThreadOutcome run(const ThreadCall& call);
  // From the loop's thread: what runs, or will run next, ends with an error. Compiled code does not see it.
  void interrupt();
  bool is_running();
  // Waits until nothing runs. False: it still does.
  bool has_ended_by(std::chrono::steady_clock::time_point deadline);

 private:
  bool begin();
  void end();

  Vm vm_;
  std::mutex mutex_;  // all of these
  std::condition_variable ended_;
  pthread_t thread_{};
  bool running_ = false, interrupted_ = false;
};

// The machines of a worker: so many as lua_worker_thread_vm_pool_size says, made when they are wanted.
class ThreadMachines {
 public:
  explicit ThreadMachines(Worker& worker);
  ~ThreadMachines();
  ThreadMachines(const ThreadMachines&) = delete;
  ThreadMachines& operator=(const ThreadMachines&) = delete;

  // Touched on the loop's thread alone, whatever becomes of the call; goes back when it is destroyed. lua_run_time_limit holds for it.
  class Lease;
  // nullptr: `wrong` says why.
  std::unique_ptr<Lease> lease(std::string& wrong);
  // The worker ends: interrupts what runs and waits a little. What goes on all the same ends the process, since its thread cannot be ended.
  void end();

  // What the function of the API gathers; it may leave by an error at any time.
  ThreadCall draft;
  std::unique_ptr<Lease> drafted;

 private:
  struct Shared;
  Worker& worker_;
  std::shared_ptr<Shared> shared_;
};

class ThreadMachines::Lease {
 public:
  Lease(std::shared_ptr<Shared> from, std::unique_ptr<ThreadMachine> machine);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ThreadMachine& machine() { return *machine_; }

 private:
  static void on_limit(Timer& timer);
  struct Limit : Timer {
    using Timer::Timer;
    Lease* lease = nullptr;
  } limit_{&Lease::on_limit};
  std::shared_ptr<Shared> from_;
  std::unique_ptr<ThreadMachine> machine_;
};

}  // namespace fairlead::lua
