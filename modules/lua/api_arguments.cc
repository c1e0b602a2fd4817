// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Arguments: of the query and of forms, read and written.
#include "http/message/uri.h"
#include "http/request/request.h"
#include "http/request/spool.h"
#include "modules/lua/api.h"
#include "modules/lua/arguments.h"
#include "modules/lua/field_table.h"
#include "modules/lua/request_state.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {

int push_arguments(lua_State* L, const char* text, size_t bytes, int most) {
  std::string& room = Scope::current().vm.text;
  if (!lua_istable(L, -1)) lua_newtable(L);
  RepeatTable table(L, most);
  ArgumentReader reader({text, bytes});
  while (reader.next()) {
    push_text(L, decode_argument(reader.name, room));
    if (reader.has_value) push_text(L, decode_argument(reader.value, room));
    else lua_pushboolean(L, 1);
    if (!table.add()) break;
  }
  if (!table.is_truncated()) return 1;
  lua_pushliteral(L, "truncated");
  return 2;
}

static void append_pair(lua_State* L, std::string& to, std::string_view name, int index) {
  int type = lua_type(L, index);
  if (type == LUA_TBOOLEAN && !lua_toboolean(L, index)) return;
  if (type == LUA_TNIL) return;
  if (!to.empty()) to += '&';
  append_component(to, name);
  switch (type) {
    case LUA_TBOOLEAN: return;
    case LUA_TSTRING:
      to += '=';
      append_component(to, check_text(L, index));
      return;
    case LUA_TNUMBER:
      to += '=';
      lua_pushvalue(L, index);
      append_component(to, check_text(L, -1));
      lua_pop(L, 1);
      return;
    default: luaL_error(L, "attempt to use %s as query arg value", luaL_typename(L, index));
  }
}

void append_arguments(lua_State* L, int index) {
  std::string& text = Scope::current().vm.text;
  text.clear();
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "attempt to use a non-string key in the \"args\" option table");
    std::string_view name = check_text(L, -2);
    if (lua_istable(L, -1)) {
      lua_pushnil(L);
      while (lua_next(L, -2)) {
        append_pair(L, text, name, -1);
        lua_pop(L, 1);
      }
    } else {
      append_pair(L, text, name, -1);
    }
    lua_pop(L, 1);
  }
}

void append_query(lua_State* L, int index) {
  if (lua_istable(L, index)) return append_arguments(L, index);
  if (!lua_isstring(L, index))
    luaL_argerror(L, index, lua_pushfstring(L, "string, number, or table expected, but got %s", luaL_typename(L, index)));
  std::string& text = Scope::current().vm.text;
  text.clear();
  append_controls_escaped(text, check_text(L, index));
}

namespace {

int encode_args(lua_State* L) {
  check_count(L, 1, 1, "expecting 1 argument but seen %d");
  luaL_checktype(L, 1, LUA_TTABLE);
  append_arguments(L, 1);
  push_text(L, Scope::current().vm.text);
  return 1;
}

int decode_args(lua_State* L) {
  check_count(L, 1, 2, "expecting 1 or 2 arguments but seen %d");
  std::string_view text = check_text(L, 1);
  int most = lua_gettop(L) < 2 ? 100 : static_cast<int>(luaL_checkinteger(L, 2));
  lua_newtable(L);
  return push_arguments(L, text.data(), text.size(), most);
}

// With a second argument a table is filled again.
int get_uri_args(lua_State* L) {
  http::Request& request = request_of(L);
  int most = static_cast<int>(luaL_optinteger(L, 1, 100));
  lua_settop(L, 2);
  if (!lua_istable(L, 2)) {
    lua_newtable(L);
  } else {
    for (lua_pushnil(L); lua_next(L, 2);) {
      lua_pop(L, 1);
      lua_pushvalue(L, -1);
      lua_pushnil(L);
      lua_rawset(L, 2);
    }
  }
  return push_arguments(L, request.args.data(), request.args.size(), most);
}

int set_uri_args(lua_State* L) {
  Scope& scope = request_scope(L);
  http::Request& request = *scope.request;
  check_count(L, 1, 1, "expecting 1 argument but seen %d");
  append_query(L, 1);
  request.args = copy_or_empty(request.arena(), http::escaped(Escape::target, scope.vm.text, request.arena()));
  request.uri_changed = true;
  return 0;
}

int get_post_args(lua_State* L) {
  Scope& scope = request_scope(L);
  http::Request& request = *scope.request;
  int most = static_cast<int>(luaL_optinteger(L, 1, 100));
  if (request.slot<RequestState>().body_is_dropped) {
    lua_newtable(L);
    return 1;
  }
  if (!request.spooled_body) return luaL_error(L, "no request body found; maybe you should turn on lua_need_request_body?");
  if (!request.spooled_body->is_in_memory()) return push_failure(L, "request body in temp file not supported");
  std::string_view body = request.spooled_body->text(request.arena());
  lua_newtable(L);
  return push_arguments(L, body.data(), body.size(), most);
}

}  // namespace

void add_arguments(lua_State* L) {
  lua_pushcfunction(L, encode_args);
  lua_setfield(L, -2, "encode_args");
  lua_pushcfunction(L, decode_args);
  lua_setfield(L, -2, "decode_args");
  lua_getfield(L, -1, "req");
  lua_pushcfunction(L, get_uri_args);
  lua_setfield(L, -2, "get_uri_args");
  lua_pushcfunction(L, set_uri_args);
  lua_setfield(L, -2, "set_uri_args");
  lua_pushcfunction(L, get_post_args);
  lua_setfield(L, -2, "get_post_args");
  lua_pop(L, 1);
}

}  // namespace fairlead::lua
