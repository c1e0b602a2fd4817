// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What require "ngx.process" gives.
#include <signal.h>
#include <unistd.h>

#include "core/conf/generation.h"
#include "core/process/conf.h"
#include "event/worker.h"
#include "modules/lua/api.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

bool has_master(const Vm& vm) { return conf<ProcessConf>(vm.generation().root()).settings.master_process; }

// "master" while init_by_lua runs, "worker", or "single".
int type(lua_State* L) {
  const Vm& vm = Scope::current().vm;
  if (!has_master(vm)) lua_pushliteral(L, "single");
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

// There is no such process here.
int enable_privileged_agent(lua_State* L) {
  allowed_scope(L, HookSet(Hook::init));
  return push_failure(L, "privileged agent not supported");
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
}

}  // namespace fairlead::lua
