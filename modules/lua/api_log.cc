// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.log and print: lines of the error log that say where in the script they come from.
#include <string>

#include "core/base/log_sinks.h"
#include "modules/lua/api.h"
#include "modules/lua/scope.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

// "content_by_lua(fairlead.conf:7):2: ", with the function's name if it has one.
void append_place(lua_State* L, std::string& to) {
  lua_Debug where;
  if (!lua_getstack(L, 1, &where) || !lua_getinfo(L, "Snl", &where)) return;
  std::string_view source = where.short_src;
  size_t slash = source.rfind('/');
  if (where.source[0] == '@' && slash != std::string_view::npos) source.remove_prefix(slash + 1);
  to.append(source).push_back(':');
  append_number(to, where.currentline);
  to += ": ";
  if (*where.namewhat && *where.what == 'L') to.append(where.name).append("(): ");
}

// Tables only with __tostring.
bool append_argument(lua_State* L, int index, std::string& to) {
  if (lua_istable(L, index)) {
    if (!luaL_callmeta(L, index, "__tostring")) return false;
    lua_replace(L, index);
  }
  const char* bad = nullptr;
  if (lua_isuserdata(L, index) && lua_touserdata(L, index) == nullptr) return append_value(L, index, to, bad);
  if (lua_istable(L, index)) return false;
  return append_value(L, index, to, bad);
}

int write(lua_State* L, LogLevel level, int first) {
  Scope& scope = Scope::current();
  if (!scope.logger.enabled(level)) return 0;
  std::string& text = scope.vm.text;
  int count = lua_gettop(L);
  for (int i = first; i <= count; ++i) {
    // A __tostring may build a text of its own: it runs before ours is begun.
    if (lua_istable(L, i) && luaL_callmeta(L, i, "__tostring")) lua_replace(L, i);
  }
  text = "[lua] ";
  append_place(L, text);
  for (int i = first; i <= count; ++i) {
    if (append_argument(L, i, text)) continue;
    const char* wrong = lua_istable(L, i)
                            ? "expected table to have __tostring metamethod"
                            : lua_pushfstring(L, "string, number, boolean, or nil expected, got %s", luaL_typename(L, i));
    return luaL_argerror(L, i - first + 1, wrong);  // the level is not counted
  }
  scope.logger.write(level, "{}", text);
  return 0;
}

int log(lua_State* L) {
  int level = static_cast<int>(luaL_checkinteger(L, 1));
  if (level < 0 || level > 8) return luaL_argerror(L, 1, lua_pushfstring(L, "bad log level: %d", level));
  return write(L, static_cast<LogLevel>(level), 2);
}

int print(lua_State* L) { return write(L, LogLevel::notice, 1); }

}  // namespace

void add_log(lua_State* L) {
  lua_pushcfunction(L, log);
  lua_setfield(L, -2, "log");
  lua_pushcfunction(L, print);
  lua_setglobal(L, "print");
}

}  // namespace fairlead::lua
