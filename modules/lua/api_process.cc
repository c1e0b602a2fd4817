// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What require "ngx.process" gives, and os.getenv.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "core/conf/generation.h"
#include "core/process/conf.h"
#include "event/worker.h"
#include "modules/lua/api.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

bool has_master(const Vm& vm) { return conf<ProcessConf>(vm.generation().root()).settings.master_process; }

bool is_agent(const Vm& vm) {
  return vm.worker() && conf<ProcessConf>(vm.generation().root()).settings.is_agent(vm.worker()->index());
}

// "master" while init_by_lua runs, "worker", "privileged agent", or "single".
int type(lua_State* L) {
  const Vm& vm = Scope::current().vm;
  if (!has_master(vm)) lua_pushliteral(L, "single");
  else if (is_agent(vm)) lua_pushliteral(L, "privileged agent");
  else if (vm.worker()) lua_pushliteral(L, "worker");
  else lua_pushliteral(L, "master");
  return 1;
}

int get_master_pid(lua_State* L) {
  const Vm& vm = Scope::current().vm;
  lua_pushinteger(L, vm.worker() && has_master(vm) ? getppid() : getpid());
  return 1;
}

// This process drains and ends; the master starts another.
int signal_graceful_exit(lua_State* L) {
  Scope& scope = Scope::current();
  if (!scope.vm.worker()) return luaL_error(L, "API disabled in the context of %s", hook_name(scope.hook));
  kill(getpid(), SIGQUIT);
  return 0;
}

// A process besides the workers, which runs init_worker_by_lua and timers with the rights of the
// master. worker_connections says how many connections it may have; the argument of the original is
// checked only.
int enable_privileged_agent(lua_State* L) {
  Scope& scope = Scope::current();
  if (scope.hook != Hook::init) return push_failure(L, "API disabled in the current context");
  if (!lua_isnoneornil(L, 1) && (lua_type(L, 1) != LUA_TNUMBER || lua_tonumber(L, 1) < 0))
    return luaL_error(L, "bad 'connections' argument: number expected and greater than 0");
  conf<ProcessConf>(scope.vm.generation().root()).settings.privileged_agent = true;
  lua_pushboolean(L, 1);
  return 1;
}

// What an `env` line of the configuration gives a variable; nullptr: none does, or what there is is
// kept.
const char* configured_variable(const Vm& vm, std::string_view name) {
  for (const std::string& line : conf<ProcessConf>(vm.generation().root()).settings.environment) {
    if (!line.starts_with(name)) continue;
    if (line.size() == name.size()) return nullptr;
    if (line[name.size()] == '=') return line.c_str() + name.size() + 1;
  }
  return nullptr;
}

// init_by_lua sees what the workers will have: its own process, the master, never takes these
// values over, as a load may yet fail.
int getenv(lua_State* L) {
  const char* name = luaL_checkstring(L, 1);
  Scope& scope = Scope::current();
  const char* value = scope.hook == Hook::init ? configured_variable(scope.vm, name) : nullptr;
  if (!value) value = std::getenv(name);
  if (value) lua_pushstring(L, value);
  else lua_pushnil(L);
  return 1;
}

constexpr luaL_Reg functions[] = {{"type", type},
                                  {"get_master_pid", get_master_pid},
                                  {"signal_graceful_exit", signal_graceful_exit},
                                  {"enable_privileged_agent", enable_privileged_agent},
                                  {nullptr, nullptr}};

}  // namespace

void add_process(lua_State* L) {
  lua_createtable(L, 0, 4);
  set_functions(L, functions);
  lua_setfield(L, -2, "_process");
  lua_getglobal(L, "os");
  lua_pushcfunction(L, getenv);
  lua_setfield(L, -2, "getenv");
  lua_pop(L, 1);
}

}  // namespace fairlead::lua
