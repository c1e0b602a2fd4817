// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/thread_machine.h"

#include <unistd.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "core/conf/generation.h"
#include "event/worker.h"

namespace fairlead::lua {
namespace {

// The machine that this thread is in.
thread_local lua_State* entered = nullptr;

int interrupt_signal() { return SIGRTMIN + 3; }

void raise_interrupt(lua_State* L, lua_Debug*) { luaL_error(L, "the function ran longer than lua_run_time_limit, or its worker ends"); }

// In the thread that runs Lua: lua_sethook is what LuaJIT allows there.
void on_interrupt(int) {
  if (entered) lua_sethook(entered, raise_interrupt, LUA_MASKCOUNT, 1);
}

void hear_interrupts() {
  struct sigaction action;
  std::memset(&action, 0, sizeof action);
  action.sa_handler = &on_interrupt;
  action.sa_flags = SA_RESTART;
  sigaction(interrupt_signal(), &action, nullptr);
}

// Threads of a pool block all signals.
void let_interrupt(int how) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, interrupt_signal());
  pthread_sigmask(how, &one, nullptr);
}

struct Job {
  const ThreadCall& call;
  ThreadOutcome& outcome;
  std::string unreadable;  // here: an error of Lua runs no destructor
};

// Protected: leaves its results in the job.
int call_module(lua_State* L) {
  Job& job = *static_cast<Job*>(lua_touserdata(L, 1));
  lua_settop(L, 0);
  lua_getglobal(L, "require");
  push_text(L, job.call.module);
  lua_call(L, 1, 1);
  if (!lua_istable(L, 1)) return luaL_error(L, "module \"%s\" is not a table", job.call.module.c_str());
  push_text(L, job.call.function);
  lua_gettable(L, 1);
  const char* name = job.call.function.c_str();
  if (!lua_isfunction(L, 2)) return luaL_error(L, "\"%s\" is not a function of module \"%s\"", name, job.call.module.c_str());
  luaL_checkstack(L, static_cast<int>(job.call.arguments.size()), "too many arguments");
  for (const PlainValue& each : job.call.arguments) each.push(L);
  lua_call(L, static_cast<int>(job.call.arguments.size()), LUA_MULTRET);
  for (int at = 2; at <= lua_gettop(L); ++at) {
    if (job.outcome.values.emplace_back().read(L, at, job.unreadable)) continue;
    job.outcome.wrong = job.unreadable + " in the return value";
    break;
  }
  return 0;
}

}  // namespace

// -- one machine --

// False: it was interrupted before it began.
bool ThreadMachine::begin() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (std::exchange(interrupted_, false)) return false;
  thread_ = pthread_self();
  running_ = true;
  entered = vm_.main();
  let_interrupt(SIG_UNBLOCK);
  return true;
}

void ThreadMachine::end() {
  std::lock_guard<std::mutex> lock(mutex_);
  let_interrupt(SIG_BLOCK);
  entered = nullptr;
  running_ = interrupted_ = false;
  lua_sethook(vm_.main(), nullptr, 0, 0);
  ended_.notify_all();
}

ThreadOutcome ThreadMachine::run(const ThreadCall& call) {
  ThreadOutcome outcome;
  if (!begin()) {
    outcome.wrong = "interrupted";
    return outcome;
  }
  lua_State* L = vm_.main();
  {
    static const Log none;  // logs are written by the loop's thread alone
    Scope scope(vm_, Hook::worker_thread, nullptr, Logger(none));
    Job job{call, outcome, {}};
    vm_.make_room();
    lua_pushcfunction(L, call_module);
    lua_pushlightuserdata(L, &job);
    MemoryLimit limited(true);
    if (lua_pcall(L, 1, 0, 0) != 0) {
      Vm::push_reason(L, -1);
      outcome.wrong = lua_tostring(L, -1);
    }
    lua_settop(L, 0);
  }
  end();
  return outcome;
}

void ThreadMachine::interrupt() {
  std::lock_guard<std::mutex> lock(mutex_);
  interrupted_ = true;
  if (running_) pthread_kill(thread_, interrupt_signal());
}

bool ThreadMachine::is_running() {
  std::lock_guard<std::mutex> lock(mutex_);
  return running_;
}

bool ThreadMachine::has_ended_by(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  return ended_.wait_until(lock, deadline, [this] { return !running_; });
}

// -- those of a worker --

struct ThreadMachines::Shared {
  Loop& loop;
  const uint64_t most, limit_ms;
  size_t made = 0;
  std::vector<std::unique_ptr<ThreadMachine>> idle;
  std::vector<Lease*> leased;
};

ThreadMachines::ThreadMachines(Worker& worker) : worker_(worker) {
  const LuaConf& own = conf<LuaConf>(worker.generation().root()).vm->conf();
  shared_ = std::make_shared<Shared>(Shared{worker.loop(), own.worker_thread_vms, own.run_time_limit, 0, {}, {}});
  hear_interrupts();
}

ThreadMachines::~ThreadMachines() = default;

std::unique_ptr<ThreadMachines::Lease> ThreadMachines::lease(std::string& wrong) {
  std::unique_ptr<ThreadMachine> machine;
  if (!shared_->idle.empty()) {
    machine = std::move(shared_->idle.back());
    shared_->idle.pop_back();
  } else if (shared_->made >= shared_->most) {
    wrong = "no available Lua vm";
    return nullptr;
  } else {
    machine = std::make_unique<ThreadMachine>(worker_, conf<LuaConf>(worker_.generation().root()).vm->http_block());
    auto opened = machine->open();
    if (!opened) {
      wrong = opened.error();
      return nullptr;
    }
    ++shared_->made;
  }
  return std::make_unique<Lease>(shared_, std::move(machine));
}

void ThreadMachines::end() {
  constexpr int exit_status = 3;
  for (Lease* lease : shared_->leased) lease->machine().interrupt();
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  for (Lease* lease : shared_->leased) {
    if (lease->machine().has_ended_by(deadline)) continue;
    Logger().alert("lua: a function of ngx.run_worker_thread does not end: the worker ends with it");
    _exit(exit_status);
  }
}

ThreadMachines::Lease::Lease(std::shared_ptr<Shared> from, std::unique_ptr<ThreadMachine> machine)
    : from_(std::move(from)), machine_(std::move(machine)) {
  limit_.lease = this;
  from_->leased.push_back(this);
  if (from_->limit_ms) from_->loop.arm(limit_, from_->limit_ms);
}

ThreadMachines::Lease::~Lease() {
  std::erase(from_->leased, this);
  from_->idle.push_back(std::move(machine_));
}

// A call that still waits for a thread has used nothing.
void ThreadMachines::Lease::on_limit(Timer& timer) {
  Lease& lease = *static_cast<Limit&>(timer).lease;
  if (lease.machine_->is_running()) lease.machine_->interrupt();
  else lease.from_->loop.arm(timer, lease.from_->limit_ms);
}

}  // namespace fairlead::lua
