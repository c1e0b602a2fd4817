// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What require "ngx.errlog" gives.
#include "modules/lua/api.h"
#include "modules/lua/captured_log.h"
#include "modules/lua/scope.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

LogLevel check_level(lua_State* L, const char* function) {
  if (lua_type(L, 1) != LUA_TNUMBER) luaL_error(L, "bad argument #1 to '%s' (must be a number)", function);
  lua_Integer level = lua_tointeger(L, 1);
  if (level < 1 || level > 8) luaL_error(L, "bad log level");
  return static_cast<LogLevel>(level);
}

// raw_log(level, text): no place of the script is put before it.
int raw_log(lua_State* L) {
  LogLevel level = check_level(L, "raw_log");
  if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "bad argument #2 to 'raw_log' (must be a string)");
  Scope::current().logger.write(level, "{}", check_text(L, 2));
  return 0;
}

int get_sys_filter_level(lua_State* L) {
  lua_pushinteger(L, static_cast<int>(Scope::current().logger.log().level()));
  return 1;
}

int set_filter_level(lua_State* L) {
  Scope& scope = Scope::current();
  if (!lua_toboolean(L, 1)) return push_failure(L, "missing \"level\" argument");
  if (scope.hook != Hook::init) return push_failure(L, "API disabled in the current context");
  LogLevel level = check_level(L, "set_filter_level");
  if (!scope.vm.captured_log) return push_failure(L, "not found \"lua_capture_error_log\" directive");
  scope.vm.captured_log->set_filter(level);
  lua_pushboolean(L, 1);
  return 1;
}

// get_logs(max?, table?): level, time, text of each line, which then is forgotten.
int get_logs(lua_State* L) {
  Scope& scope = Scope::current();
  lua_Integer most = luaL_optinteger(L, 1, 0);
  lua_settop(L, 2);
  CapturedLog* log = scope.vm.captured_log;
  if (!log) return push_failure(L, "directive \"lua_capture_error_log\" is not set");
  if (!lua_istable(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  int at = 0;
  for (lua_Integer count = 0; (most <= 0 || count < most) && log->oldest(); ++count) {
    const CapturedLog::Line& line = *log->oldest();
    lua_pushinteger(L, static_cast<int>(line.level));
    lua_rawseti(L, 2, ++at);
    lua_pushnumber(L, line.time_s);
    lua_rawseti(L, 2, ++at);
    push_text(L, line.text);
    lua_rawseti(L, 2, ++at);
    log->pop();
  }
  lua_pushnil(L);  // of a table used again
  lua_rawseti(L, 2, at + 1);
  return 1;
}

constexpr luaL_Reg functions[] = {{"raw_log", raw_log},
                                  {"get_sys_filter_level", get_sys_filter_level},
                                  {"set_filter_level", set_filter_level},
                                  {"get_logs", get_logs},
                                  {nullptr, nullptr}};

}  // namespace

void add_errlog(lua_State* L) {
  lua_createtable(L, 0, 4);
  set_functions(L, functions);
  lua_setfield(L, -2, "_errlog");
}

}  // namespace fairlead::lua
