// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/run_limit.h"

#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string_view>

#include "core/base/log_sinks.h"
#include "core/conf/generation.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

// So many ticks within one entry are the limit.
constexpr uint64_t ticks_per_limit = 4;
constexpr int exit_status = 3;

constexpr std::string_view script_line =
    "[alert] lua: a compiled script does not end (lua_run_time_limit): the worker ends, its requests with it\n";
constexpr std::string_view finalizer_line = "[alert] lua: a finalizer does not end (lua_run_time_limit): the worker ends before it\n";

// What the signal handler reads; set while no tick can come.
struct Watched {
  uint64_t limit_ms = 0;
  int log_descriptor = STDERR_FILENO;
  uint64_t entry = 0;  // at the last tick
  uint64_t ticks = 0;  // of that entry
};
Watched watched;

void raise_limit(lua_State* L, lua_Debug*) {
  luaL_error(L, "the script ran longer than lua_run_time_limit (%d ms)", static_cast<int>(watched.limit_ms));
}

void set_timer(uint64_t interval_ms) {
  itimerval times;
  times.it_interval.tv_sec = static_cast<time_t>(interval_ms / 1000);
  times.it_interval.tv_usec = static_cast<suseconds_t>(interval_ms % 1000 * 1000);
  times.it_value = times.it_interval;
  setitimer(ITIMER_VIRTUAL, &times, nullptr);
}

}  // namespace

// Only calls that a signal handler may make. lua_sethook is LuaJIT's way to interrupt from one.
void RunLimit::on_tick(int) {
  uint64_t entry = entry_.load(std::memory_order_relaxed);
  watched.ticks = entry == watched.entry ? watched.ticks + 1 : 0;
  watched.entry = entry;
  if (entry % 2 == 0 || watched.ticks < ticks_per_limit) return;
  if (watched.ticks == ticks_per_limit && !closes_.load(std::memory_order_relaxed)) {
    armed_.store(true, std::memory_order_relaxed);
    lua_sethook(machine_.load(std::memory_order_relaxed), raise_limit, LUA_MASKCOUNT, 1);
  } else if (watched.ticks >= 2 * ticks_per_limit) {
    bool closes = closes_.load(std::memory_order_relaxed);
    std::string_view line = closes ? finalizer_line : script_line;
    if (write(watched.log_descriptor, line.data(), line.size()) < 0) {}
    _exit(exit_status);
  }
}

void RunLimit::disarm() {
  armed_.store(false, std::memory_order_relaxed);
  lua_sethook(machine_.load(std::memory_order_relaxed), nullptr, 0, 0);
}

void RunLimit::start(Vm& vm, uint64_t limit_ms) {
  if (limit_ms == 0) return;
  watched.limit_ms = limit_ms;
  auto files = vm.generation().log_files();
  if (!files.empty()) watched.log_descriptor = files.front()->descriptor();
  struct sigaction action;
  std::memset(&action, 0, sizeof action);
  action.sa_handler = &RunLimit::on_tick;
  action.sa_flags = SA_RESTART;
  sigaction(SIGVTALRM, &action, nullptr);
  set_timer(std::max<uint64_t>(1, limit_ms / ticks_per_limit));
}

void RunLimit::stop() {
  set_timer(0);
  watched = Watched();
}

}  // namespace fairlead::lua
