// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What scripts ask about the process, and the constants.
#include <unistd.h>

#include <algorithm>

#include "core/conf/generation.h"
#include "core/process/build_options.h"
#include "core/process/conf.h"
#include "event/worker.h"
#include "modules/lua/api.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

int pid(lua_State* L) {
  lua_pushinteger(L, getpid());
  return 1;
}

// nil in the privileged agent.
int id(lua_State* L) {
  Worker* worker = Scope::current().vm.worker();
  bool serves = worker && !conf<ProcessConf>(worker->generation().root()).settings.is_agent(worker->index());
  if (serves) lua_pushinteger(L, static_cast<lua_Integer>(worker->index()));
  else lua_pushnil(L);
  return 1;
}

int count(lua_State* L) {
  const ProcessConf& process = fairlead::conf<ProcessConf>(Scope::current().vm.generation().root());
  lua_pushinteger(L, static_cast<lua_Integer>(process.settings.worker_processes));
  return 1;
}

// The configuration whose workers are this process's fellows: its own, or, for the agent, which is counted to none, the newest.
uint32_t generation_of_fellows(Worker& worker) {
  uint32_t own = worker.row().generation, found = own;
  for (BoardSlot slot = 0; own == 0 && worker.board() && slot < worker.board()->slots_used(); ++slot) {
    const WorkerRow& row = worker.board()->row(slot);
    if (slot != master_slot && row.state != WorkerState::free) found = std::max(found, row.generation.load());
  }
  return found;
}

// Of the workers of this configuration.
int pids(lua_State* L) {
  Worker* worker = Scope::current().vm.worker();
  if (!worker) return luaL_error(L, "API disabled in the context of %s", hook_name(Scope::current().hook));
  lua_newtable(L);
  int count = 0;
  uint32_t own = generation_of_fellows(*worker);
  for (BoardSlot slot = 0; worker->board() && slot < worker->board()->slots_used(); ++slot) {
    const WorkerRow& row = worker->board()->row(slot);
    if (slot == master_slot || row.state == WorkerState::free || row.generation != own) continue;
    lua_pushinteger(L, row.pid);
    lua_rawseti(L, -2, ++count);
  }
  if (count == 0) {
    lua_pushinteger(L, getpid());
    lua_rawseti(L, -2, 1);
  }
  return 1;
}

int exiting(lua_State* L) {
  Worker* worker = Scope::current().vm.worker();
  lua_pushboolean(L, worker && worker->is_draining());
  return 1;
}

int prefix(lua_State* L) {
  push_text(L, Scope::current().vm.generation().request().prefix);
  return 1;
}

int nginx_configure(lua_State* L) {
  std::string& text = Scope::current().vm.text;
  text = configure_options();
  push_text(L, text);
  return 1;
}

struct Constant {
  const char* name;
  int value;
};
constexpr Constant constants[] = {
    {"OK", 0}, {"ERROR", -1}, {"AGAIN", -2}, {"DONE", -4}, {"DECLINED", -5},
    {"HTTP_GET", 2}, {"HTTP_HEAD", 4}, {"HTTP_POST", 8}, {"HTTP_PUT", 16}, {"HTTP_DELETE", 32}, {"HTTP_MKCOL", 64}, {"HTTP_COPY", 128},
    {"HTTP_MOVE", 256}, {"HTTP_OPTIONS", 512}, {"HTTP_PROPFIND", 1024}, {"HTTP_PROPPATCH", 2048}, {"HTTP_LOCK", 4096},
    {"HTTP_UNLOCK", 8192}, {"HTTP_PATCH", 16384}, {"HTTP_TRACE", 32768},
    {"STDERR", 0}, {"EMERG", 1}, {"ALERT", 2}, {"CRIT", 3}, {"ERR", 4}, {"WARN", 5}, {"NOTICE", 6}, {"INFO", 7}, {"DEBUG", 8},
    {"HTTP_CONTINUE", 100}, {"HTTP_SWITCHING_PROTOCOLS", 101}, {"HTTP_OK", 200}, {"HTTP_CREATED", 201}, {"HTTP_ACCEPTED", 202},
    {"HTTP_NO_CONTENT", 204}, {"HTTP_PARTIAL_CONTENT", 206}, {"HTTP_SPECIAL_RESPONSE", 300}, {"HTTP_MOVED_PERMANENTLY", 301},
    {"HTTP_MOVED_TEMPORARILY", 302}, {"HTTP_SEE_OTHER", 303}, {"HTTP_NOT_MODIFIED", 304}, {"HTTP_TEMPORARY_REDIRECT", 307},
    {"HTTP_PERMANENT_REDIRECT", 308}, {"HTTP_BAD_REQUEST", 400}, {"HTTP_UNAUTHORIZED", 401}, {"HTTP_PAYMENT_REQUIRED", 402},
    {"HTTP_FORBIDDEN", 403}, {"HTTP_NOT_FOUND", 404}, {"HTTP_NOT_ALLOWED", 405}, {"HTTP_NOT_ACCEPTABLE", 406},
    {"HTTP_REQUEST_TIMEOUT", 408}, {"HTTP_CONFLICT", 409}, {"HTTP_GONE", 410}, {"HTTP_UPGRADE_REQUIRED", 426},
    {"HTTP_TOO_MANY_REQUESTS", 429}, {"HTTP_CLOSE", 444}, {"HTTP_ILLEGAL", 451}, {"HTTP_INTERNAL_SERVER_ERROR", 500},
    {"HTTP_NOT_IMPLEMENTED", 501}, {"HTTP_METHOD_NOT_IMPLEMENTED", 501}, {"HTTP_BAD_GATEWAY", 502}, {"HTTP_SERVICE_UNAVAILABLE", 503},
    {"HTTP_GATEWAY_TIMEOUT", 504}, {"HTTP_VERSION_NOT_SUPPORTED", 505}, {"HTTP_INSUFFICIENT_STORAGE", 507},
};

// As nginx counts: 1.31.4 is 1031004.
constexpr int compatible_number = 1031004;
constexpr int api_number = 10027;

constexpr luaL_Reg worker_functions[] = {{"pid", pid},     {"pids", pids},       {"id", id},
                                         {"count", count}, {"exiting", exiting}, {nullptr, nullptr}};

}  // namespace

void add_worker(lua_State* L, Vm&) {
  lua_createtable(L, 0, 8);
  set_functions(L, worker_functions);
  lua_setfield(L, -2, "worker");
  lua_createtable(L, 0, 8);
  lua_pushliteral(L, "http");
  lua_setfield(L, -2, "subsystem");
#ifdef FAIRLEAD_DEBUG
  lua_pushboolean(L, 1);
#else
  lua_pushboolean(L, 0);
#endif
  lua_setfield(L, -2, "debug");
  lua_pushinteger(L, compatible_number);
  lua_setfield(L, -2, "nginx_version");
  lua_pushinteger(L, api_number);
  lua_setfield(L, -2, "ngx_lua_version");
  lua_pushcfunction(L, prefix);
  lua_setfield(L, -2, "prefix");
  lua_pushcfunction(L, nginx_configure);
  lua_setfield(L, -2, "nginx_configure");
  lua_setfield(L, -2, "config");
  for (const Constant& each : constants) {
    lua_pushinteger(L, each.value);
    lua_setfield(L, -2, each.name);
  }
  lua_pushlightuserdata(L, nullptr);
  lua_setfield(L, -2, "null");
}

}  // namespace fairlead::lua
