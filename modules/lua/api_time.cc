// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Time, cached once per turn of the loop, and its texts. On other threads it is the time of the call.
#include <algorithm>
#include <ctime>

#include "core/base/clock.h"
#include "modules/lua/api.h"
#include "modules/lua/scope.h"

namespace fairlead::lua {

Clock& clock_here() {
  if (Scope::current().hook != Hook::worker_thread) return process_clock;
  static thread_local Clock own;
  own.update();
  return own;
}

namespace {

int now(lua_State* L) {
  lua_pushnumber(L, static_cast<double>(clock_here().wall_ms()) / 1000);
  return 1;
}

int time_seconds(lua_State* L) {
  lua_pushnumber(L, static_cast<double>(clock_here().seconds()));
  return 1;
}

// Since an arbitrary start, whatever becomes of wall time.
int monotonic_msec(lua_State* L) {
  lua_pushnumber(L, static_cast<double>(clock_here().now_ms()));
  return 1;
}

int monotonic_time(lua_State* L) {
  lua_pushnumber(L, static_cast<double>(clock_here().now_ms()) / 1000);
  return 1;
}

int update_time(lua_State*) {
  clock_here().update();
  return 0;
}

int push_time(lua_State* L, bool local, const char* form) {
  time_t seconds = static_cast<time_t>(clock_here().seconds());
  tm parts;
  if (local) localtime_r(&seconds, &parts);
  else gmtime_r(&seconds, &parts);
  char text[32];
  lua_pushlstring(L, text, std::strftime(text, sizeof text, form, &parts));
  return 1;
}
int today(lua_State* L) { return push_time(L, true, "%Y-%m-%d"); }
int localtime_text(lua_State* L) { return push_time(L, true, "%Y-%m-%d %H:%M:%S"); }
int utctime(lua_State* L) { return push_time(L, false, "%Y-%m-%d %H:%M:%S"); }

// A number and no text; within the years that can be written with four digits.
int64_t check_seconds(lua_State* L) {
  if (lua_type(L, 1) != LUA_TNUMBER) luaL_error(L, "number argument only");
  constexpr double end_of_9999 = 253402300799;
  double seconds = lua_tonumber(L, 1);
  return seconds > 0 ? static_cast<int64_t>(std::min(seconds, end_of_9999)) : 0;
}

int http_time(lua_State* L) {
  char text[http_date_size];
  format_http_date(check_seconds(L), text);
  lua_pushlstring(L, text, sizeof text);
  return 1;
}

// As in cookies: "Thu, 18-Nov-10 11:27:35 GMT"; four digits of the year from 2038 on.
int cookie_time(lua_State* L) {
  time_t seconds = check_seconds(L);
  tm parts;
  gmtime_r(&seconds, &parts);
  char text[48];
  size_t size = std::strftime(text, sizeof text, parts.tm_year >= 138 ? "%a, %d-%b-%Y %H:%M:%S GMT" : "%a, %d-%b-%y %H:%M:%S GMT", &parts);
  lua_pushlstring(L, text, size);
  return 1;
}

int parse_http_time(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) return luaL_error(L, "string argument only");
  auto seconds = parse_http_date(check_text(L, 1), clock_here().seconds());
  if (seconds) lua_pushnumber(L, static_cast<double>(*seconds));
  else lua_pushnil(L);
  return 1;
}

constexpr luaL_Reg functions[] = {
    {"now", now},         {"time", time_seconds}, {"update_time", update_time}, {"today", today},
    {"localtime", localtime_text}, {"utctime", utctime}, {"http_time", http_time}, {"cookie_time", cookie_time},
    {"parse_http_time", parse_http_time}, {"_monotonic_msec", monotonic_msec}, {"_monotonic_time", monotonic_time},
    {nullptr, nullptr},
};

}  // namespace

void add_time(lua_State* L) { set_functions(L, functions); }

}  // namespace fairlead::lua
