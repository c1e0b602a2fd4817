// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// How scripts hold a socket: a table of one metatable per type, whose first element is a userdata with a share of the socket; whatever
// waits on it holds another share. Libraries give such tables fields and methods of their own, as they may OpenResty's.
#pragma once

#include <lua.hpp>

#include <memory>
#include <new>

#include "http/request/request.h"
#include "modules/lua/run.h"

namespace fairlead::lua {

// The first argument; raises unless it is a socket of this type and of whoever runs now.
template <class Socket>
Socket& check_socket(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_rawgeti(L, 1, 1);
  auto* held = static_cast<std::shared_ptr<Socket>*>(luaL_testudata(L, -1, Socket::type_name));
  lua_pop(L, 1);
  if (!held) luaL_argerror(L, 1, "socket expected");
  if ((*held)->owner() != Scope::current().owner()) luaL_error(L, "bad request");
  return **held;
}

// Pushes what the tables of this type have for a metatable: the methods, which are their own __index.
template <class Socket>
void push_socket_methods(lua_State* L) {
  lua_pushlightuserdata(L, const_cast<char*>(Socket::type_name));
  lua_rawget(L, LUA_REGISTRYINDEX);
}

// Pushes what `make()` makes (a shared pointer), owned by the request or run.
template <class Socket, class Make>
void push_socket(lua_State* L, Scope& scope, Make make) {
  lua_createtable(L, 4, 4);
  auto* held = new (lua_newuserdata(L, sizeof(std::shared_ptr<Socket>))) std::shared_ptr<Socket>(make());
  if (scope.request) scope.request->slot<RequestState>().owned.push_back(**held);
  else scope.run->owned.push_back(**held);
  luaL_getmetatable(L, Socket::type_name);
  lua_setmetatable(L, -2);
  lua_rawseti(L, -2, 1);
  push_socket_methods<Socket>(L);
  lua_setmetatable(L, -2);
}

template <class Socket>
int collect_socket(lua_State* L) {
  using Held = std::shared_ptr<Socket>;
  static_cast<Held*>(lua_touserdata(L, 1))->~Held();
  return 0;
}

// Leaves the table of methods on the stack.
template <class Socket>
void begin_socket_type(lua_State* L) {
  luaL_newmetatable(L, Socket::type_name);
  lua_pushcfunction(L, &collect_socket<Socket>);
  lua_setfield(L, -2, "__gc");
  hide_metatable(L);
  lua_pop(L, 1);
  lua_createtable(L, 0, 24);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pushlightuserdata(L, const_cast<char*>(Socket::type_name));
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

// Whose `resolver`, lua_socket_* and lua_ssl_* hold: the request's, a timer's that of whoever made it.
inline const Block& place_of(Run& run) {
  if (run.request()) return *run.request()->block;
  return run.timer_place ? *run.timer_place : run.vm().http_block();
}
inline const Block& place_of(Scope& scope) {
  if (scope.request) return *scope.request->block;
  return scope.run ? place_of(*scope.run) : scope.vm.http_block();
}
// A time argument in milliseconds; raises for a negative one.
uint64_t check_milliseconds(lua_State* L, int index);
// Of settimeout and its like: what is no number counts as 0, and that means as configured (libraries pass the oddest things).
uint64_t read_timeout(lua_State* L, int index);
// Unless lua_socket_log_errors is off.
void log_socket_failure(Run& run, std::string_view what, LogLevel level = LogLevel::error);
// nil and the text, at the end of a wait; or 1.
int push_socket_result(lua_State* L, const std::string& wrong);

}  // namespace fairlead::lua
