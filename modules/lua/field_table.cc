// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/field_table.h"

#include "core/base/text.h"
#include "http/message/known_header.h"
#include "modules/lua/api.h"

namespace fairlead::lua {

// The names of known fields in lower case, by number: an array in the registry, filled as they are asked for. A name that nobody held would
// be made and collected with each request.
static void push_kept_names(lua_State* L) {
  static char key;  // its address is what no script can name
  lua_pushlightuserdata(L, &key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushlightuserdata(L, &key);
  lua_createtable(L, static_cast<int>(http::known_header_count), 0);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, &key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

// False: it is not kept yet, and nothing is pushed.
static bool push_kept_name(lua_State* L, http::KnownHeader known) {
  push_kept_names(L);
  lua_rawgeti(L, -1, static_cast<int>(known));
  lua_remove(L, -2);
  bool is_kept = !lua_isnil(L, -1);
  if (!is_kept) lua_pop(L, 1);
  return is_kept;
}

// The one on top of the stack, which stays there.
static void keep_name(lua_State* L, http::KnownHeader known) {
  push_kept_names(L);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, static_cast<int>(known));
  lua_pop(L, 1);
}

bool RepeatTable::add() {
  if (left_ == 0) {
    lua_pop(L_, 2);
    truncated_ = true;
    return false;
  }
  if (left_ > 0) --left_;
  // table, name, value
  lua_pushvalue(L_, -2);
  lua_rawget(L_, -4);
  switch (lua_type(L_, -1)) {
    case LUA_TNIL:
      lua_pop(L_, 1);
      lua_rawset(L_, -3);
      return true;
    case LUA_TTABLE:
      lua_insert(L_, -2);
      lua_rawseti(L_, -2, static_cast<int>(lua_objlen(L_, -2)) + 1);
      lua_pop(L_, 2);
      return true;
    default:
      lua_createtable(L_, 2, 0);  // table, name, value, first, array
      lua_insert(L_, -3);         // table, name, array, value, first
      lua_rawseti(L_, -3, 1);
      lua_rawseti(L_, -2, 2);
      lua_rawset(L_, -3);
      return true;
  }
}

void push_field_name(lua_State* L, std::string_view name, bool raw) {
  char lowered[256];
  bool as_it_is = raw || name.size() > sizeof lowered;
  http::KnownHeader known = as_it_is ? http::KnownHeader::other : http::find_known_header(name);
  if (known != http::KnownHeader::other && push_kept_name(L, known)) return;
  if (!as_it_is) lower_into(lowered, name);
  lua_pushlstring(L, as_it_is ? name.data() : lowered, name.size());
  if (known != http::KnownHeader::other) keep_name(L, known);
}

void set_fields_metatable(lua_State* L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "fairlead.fields");
  lua_setmetatable(L, -2);
}

}  // namespace fairlead::lua
