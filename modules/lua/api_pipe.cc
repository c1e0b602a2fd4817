// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What require "ngx.pipe" gives: programs as children, their standard streams for scripts.
#include <signal.h>
#include <sys/wait.h>

#include <cstring>
#include <new>

#include "event/worker.h"
#include "modules/lua/api.h"
#include "modules/lua/child_process.h"
#include "modules/lua/run.h"
#include "modules/lua/socket_names.h"
#include "modules/lua/socket_object.h"

namespace fairlead::lua {
namespace {

// What Lua holds: the process, and the times of its calls in milliseconds (0: none).
struct Process {
  std::shared_ptr<ChildProcess> child = std::make_shared<ChildProcess>();
  uint64_t write_ms = 10'000, output_ms = 10'000, errors_ms = 10'000, wait_ms = 10'000;
  bool is_merged = false;  // its stderr goes where its stdout goes
};
using ChildRef = std::shared_ptr<ChildProcess>;

Process& check_process(lua_State* L) { return *static_cast<Process*>(luaL_checkudata(L, 1, ChildProcess::type_name)); }

int collect(lua_State* L) {
  static_cast<Process*>(lua_touserdata(L, 1))->~Process();
  return 0;
}

// -- spawn --

// Where the program is built: nothing of it is lost to an error of Lua.
ChildProcess::Program& scratch() {
  static ChildProcess::Program program;
  program = {};
  return program;
}

void read_arguments(lua_State* L, int index, std::vector<std::string>& to) {
  for (int i = 1; i <= static_cast<int>(lua_objlen(L, index)); ++i) {
    lua_rawgeti(L, index, i);
    to.emplace_back(to_text(L, -1));
    lua_pop(L, 1);
  }
}

// Of the form name=value.
void read_environment(lua_State* L, int index, std::vector<std::string>& to) {
  for (int i = 1; i <= static_cast<int>(lua_objlen(L, index)); ++i) {
    lua_rawgeti(L, index, i);
    if (!lua_isstring(L, -1)) luaL_error(L, "bad environ option: string expected");
    std::string_view text = check_text(L, -1);
    size_t name_bytes = text.find('=');
    if (name_bytes == 0 || name_bytes == std::string_view::npos) luaL_error(L, "bad environ option: \"%s\" is not name=value", text.data());
    to.emplace_back(text);
    lua_pop(L, 1);
  }
}

uint64_t read_time(lua_State* L, const char* name, uint64_t otherwise) {
  lua_getfield(L, 2, name);
  uint64_t ms = lua_isnil(L, -1) ? otherwise : check_milliseconds(L, -1);
  lua_pop(L, 1);
  return ms;
}

void read_options(lua_State* L, ChildProcess::Program& program, Process& process) {
  if (lua_isnoneornil(L, 2)) return;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_getfield(L, 2, "merge_stderr");
  program.merges_stderr = lua_toboolean(L, -1);
  lua_getfield(L, 2, "buffer_size");
  if (!lua_isnil(L, -1)) {
    lua_Integer bytes = luaL_checkinteger(L, -1);
    if (bytes < 1 || bytes > 64 * 1024 * 1024) luaL_error(L, "bad buffer_size option");
    program.buffer_bytes = static_cast<size_t>(bytes);
  }
  lua_getfield(L, 2, "environ");
  if (!lua_isnil(L, -1)) {
    if (!lua_istable(L, -1)) luaL_error(L, "bad environ option: table expected, got %s", luaL_typename(L, -1));
    read_environment(L, lua_gettop(L), program.environment);
  }
  lua_pop(L, 3);
  process.write_ms = read_time(L, "write_timeout", process.write_ms);
  process.output_ms = read_time(L, "stdout_read_timeout", process.output_ms);
  process.errors_ms = read_time(L, "stderr_read_timeout", process.errors_ms);
  process.wait_ms = read_time(L, "wait_timeout", process.wait_ms);
}

// spawn(text for the shell | {program, argument, ...}, options?)
int spawn(lua_State* L) {
  Scope& scope = Scope::current();
  if (!scope.vm.worker()) return luaL_error(L, "API disabled in the context of %s", hook_name(scope.hook));
  lua_settop(L, 2);
  auto* process = new (lua_newuserdata(L, sizeof(Process))) Process();
  luaL_getmetatable(L, ChildProcess::type_name);
  lua_setmetatable(L, -2);
  ChildProcess::Program& program = scratch();
  if (lua_istable(L, 1)) {
    read_arguments(L, 1, program.arguments);
    if (program.arguments.empty()) return luaL_error(L, "bad args argument: non-empty table expected");
  } else {
    if (!lua_isstring(L, 1)) return luaL_error(L, "bad args argument: string or table expected, got %s", luaL_typename(L, 1));
    program.arguments = {"/bin/sh", "-c", std::string(check_text(L, 1))};
  }
  read_options(L, program, *process);
  process->is_merged = program.merges_stderr;
  std::string& wrong = scope.vm.text;
  wrong = process->child->start(*scope.vm.worker(), program);
  if (!wrong.empty()) return push_failure(L, wrong);
  // One that init_worker_by_lua starts is nobody's: it lives until Lua collects it.
  if (scope.request) scope.request->slot<RequestState>().owned.push_back(*process->child);
  else if (scope.run) scope.run->owned.push_back(*process->child);
  return 1;
}

// -- reading and writing --

struct Reader {
  ChildRef child;
  PipeEnd& from;
  Reading what;
  uint64_t timeout_ms;
};

Wait wait_read(Reader reader, Run& run, lua_State* L) {
  ReadStep step(reader.what, nullptr);
  std::string wrong = co_await reader.from.read(step, reader.timeout_ms);
  Scope scope = run.aside();
  bool whole = wrong.empty() || (reader.what.kind == Reading::Kind::all && wrong == "closed");
  if (whole) {
    push_text(L, step.result);
    co_return 1;
  }
  push_failure(L, wrong);
  push_text(L, step.result);
  co_return 3;
}

constexpr const char* merged_text = "merged to stdout";

// `of_errors`: of stderr.
int read(lua_State* L, bool of_errors, Reading::Kind kind, size_t bytes) {
  Process& process = check_process(L);
  Run& run = waiting_run(L);
  if (of_errors && process.is_merged) return push_failure(L, merged_text);
  PipeEnd& from = of_errors ? process.child->errors : process.child->output;
  if (!from.is_open()) return push_failure(L, "closed");
  if (from.is_busy) return push_failure(L, "pipe busy reading");
  uint64_t timeout_ms = of_errors ? process.errors_ms : process.output_ms;
  return run.wait_for(L, [&] {
    Reader reader{process.child, from, Reading{kind, bytes, {}, false}, timeout_ms};
    return wait_read(std::move(reader), run, L);
  });
}

size_t check_bytes(lua_State* L, lua_Integer least) {
  lua_Integer bytes = luaL_checkinteger(L, 2);
  if (bytes < least) luaL_argerror(L, 2, least ? "must be greater than 0" : "must not be negative");
  return static_cast<size_t>(bytes);
}

template <bool Errors>
int read_all(lua_State* L) { return read(L, Errors, Reading::Kind::all, 0); }
template <bool Errors>
int read_line(lua_State* L) { return read(L, Errors, Reading::Kind::line, 0); }
template <bool Errors>
int read_bytes(lua_State* L) { return read(L, Errors, Reading::Kind::bytes, check_bytes(L, 0)); }
template <bool Errors>
int read_any(lua_State* L) { return read(L, Errors, Reading::Kind::any, check_bytes(L, 1)); }

Wait wait_written(ChildRef child, std::string bytes, uint64_t timeout_ms, Run& run, lua_State* L) {
  auto count = static_cast<lua_Integer>(bytes.size());
  std::string wrong = co_await child->input.write(std::move(bytes), timeout_ms);
  Scope scope = run.aside();
  if (!wrong.empty()) co_return push_failure(L, wrong);
  lua_pushinteger(L, count);
  co_return 1;
}

int write(lua_State* L) {
  Process& process = check_process(L);
  Run& run = waiting_run(L);
  std::string& text = run.vm().text;
  text.clear();
  const char* bad = nullptr;
  if (!append_value(L, 2, text, bad)) return luaL_argerror(L, 2, bad);
  PipeEnd& to = process.child->input;
  if (!to.is_open()) return push_failure(L, "closed");
  if (to.is_busy) return push_failure(L, "pipe busy writing");
  return run.wait_for(L, [&] { return wait_written(process.child, text, process.write_ms, run, L); });
}

int shutdown(lua_State* L) {
  Process& process = check_process(L);
  std::string_view which = check_text(L, 2);
  PipeEnd* end = which == "stdin" ? &process.child->input : which == "stdout" ? &process.child->output
                 : which == "stderr" ? &process.child->errors : nullptr;
  if (!end) return luaL_error(L, "bad shutdown arg: %s", which.data());
  if (which == "stderr" && process.is_merged) return push_failure(L, merged_text);
  if (end->is_open()) end->shutdown();
  else if (process.child->was_reaped()) return push_failure(L, "closed");
  lua_pushboolean(L, 1);
  return 1;
}

// -- the process --

Wait wait_ended(ChildRef child, uint64_t timeout_ms, Run& run, lua_State* L) {
  int status = 0;
  std::string wrong = co_await child->wait(status, timeout_ms);
  Scope scope = run.aside();
  if (!wrong.empty()) co_return push_failure(L, wrong);
  bool exited = WIFEXITED(status);
  int number = exited ? WEXITSTATUS(status) : WTERMSIG(status);
  lua_pushboolean(L, exited && number == 0);
  lua_pushstring(L, exited ? "exit" : "signal");
  lua_pushinteger(L, number);
  co_return 3;
}

int wait(lua_State* L) {
  Process& process = check_process(L);
  Run& run = waiting_run(L);
  if (process.child->was_reaped()) return push_failure(L, "exited");
  if (process.child->is_waited_for()) return push_failure(L, "pipe busy waiting");
  return run.wait_for(L, [&] { return wait_ended(process.child, process.wait_ms, run, L); });
}

int pid(lua_State* L) {
  lua_pushinteger(L, check_process(L).child->pid());
  return 1;
}

int kill(lua_State* L) {
  Process& process = check_process(L);
  int signal = static_cast<int>(luaL_checkinteger(L, 2));
  if (signal < 0 || signal > SIGRTMAX) return push_failure(L, "invalid signal");
  if (process.child->has_ended()) return push_failure(L, "exited");
  int failed = process.child->kill(signal);
  if (failed) return push_failure(L, failed == ESRCH ? "no such process" : std::strerror(failed));
  lua_pushboolean(L, 1);
  return 1;
}

int set_timeouts(lua_State* L) {
  Process& process = check_process(L);
  uint64_t* times[] = {&process.write_ms, &process.output_ms, &process.errors_ms, &process.wait_ms};
  for (int i = 0; i < 4; ++i)
    if (!lua_isnoneornil(L, i + 2)) *times[i] = check_milliseconds(L, i + 2);
  return 0;
}

constexpr luaL_Reg methods[] = {
    {"stdout_read_all", read_all<false>},
    {"stdout_read_line", read_line<false>},
    {"stdout_read_bytes", read_bytes<false>},
    {"stdout_read_any", read_any<false>},
    {"stderr_read_all", read_all<true>},
    {"stderr_read_line", read_line<true>},
    {"stderr_read_bytes", read_bytes<true>},
    {"stderr_read_any", read_any<true>},
    {"write", write},
    {"shutdown", shutdown},
    {"wait", wait},
    {"pid", pid},
    {"kill", kill},
    {"set_timeouts", set_timeouts},
    {nullptr, nullptr},
};

}  // namespace

void add_pipe(lua_State* L) {
  luaL_newmetatable(L, ChildProcess::type_name);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_createtable(L, 0, 16);
  set_functions(L, methods);
  lua_setfield(L, -2, "__index");
  hide_metatable(L);
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, spawn);
  lua_setfield(L, -2, "spawn");
  lua_setfield(L, -2, "_pipe");
}

}  // namespace fairlead::lua
