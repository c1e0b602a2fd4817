// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/api.h"

#include <initializer_list>

#include "core/base/format.h"
#include "lua_prelude.h"
#include "modules/lua/ffi_symbols.h"
#include "modules/lua/scope.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {

// Runs a part of the API that is written in Lua, with `ngx` as its argument.
static void run_prelude(lua_State* L, const prelude::Part& part) {
  std::string_view name = part.name;
  lua_pushfstring(L, "=%s", name.data());
  bool bad = luaL_loadbuffer(L, part.text.data(), part.text.size(), lua_tostring(L, -1)) != 0;
  if (bad) lua_error(L);
  lua_remove(L, -2);
  lua_pushvalue(L, -2);
  lua_call(L, 1, 0);
}

// The table on top becomes the global `ngx`, and what require "ngx" gives.
static void publish(lua_State* L) {
  lua_pushvalue(L, -1);
  lua_setglobal(L, "ngx");
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "loaded");
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "ngx");
  lua_pop(L, 3);
}

void open_api(lua_State* L, Vm& vm) {
  keep_exported_symbols();
  lua_createtable(L, 0, 128);
  add_output(L);
  add_log(L);
  add_variables(L);
  add_phase(L);
  add_response(L);
  add_request(L);
  add_body(L);
  add_arguments(L);
  add_text(L);
  add_time(L);
  add_regex(L);
  add_shared(L, vm);
  add_threads(L);
  add_timers(L);
  add_worker_thread(L);
  add_balancer(L);
  add_sockets(L);
  add_udp(L);
  add_request_socket(L);
  add_capture(L);
  add_tls(L);
  add_pipe(L);
  add_errlog(L);
  add_process(L);
  add_upstream(L);
  add_worker(L, vm);
  for (const prelude::Part& part : prelude::parts) run_prelude(L, part);
  publish(L);
}

// Into the table below, under its name: the functions of the table on top that other threads may have.
static void keep_some(lua_State* L, const char* name, std::initializer_list<const char*> functions) {
  lua_createtable(L, 0, 4);
  lua_getfield(L, -2, name);
  for (const char* each : functions) {
    lua_getfield(L, -1, each);
    lua_setfield(L, -3, each);
  }
  lua_pop(L, 1);
  lua_setfield(L, -2, name);
}

// No log, no request, nothing of the loop: these belong to its thread. Zones are for any thread.
void open_thread_api(lua_State* L, Vm& vm) {
  lua_createtable(L, 0, 128);
  lua_createtable(L, 0, 4);
  lua_setfield(L, -2, "req");
  add_text(L);
  add_time(L);
  add_regex(L);
  add_shared(L, vm);
  add_phase(L);
  add_arguments(L);
  add_worker(L, vm);
  lua_pushnil(L);
  lua_setfield(L, -2, "req");
  keep_some(L, "worker", {"id", "pid", "count"});
  for (const prelude::Part& part : prelude::parts)
    for (std::string_view name : {"any", "core", "regex"})
      if (part.name == name) run_prelude(L, part);
  publish(L);
}

}  // namespace fairlead::lua
