// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/plain_value.h"

#include "core/base/format.h"

namespace fairlead::lua {

// A table in itself ends here, too.
static constexpr int depth_max = 100;

static const char* unsupported_type(int type) {
  switch (type) {
    case LUA_TFUNCTION: return "unsupported Lua type: LUA_TFUNCTION";
    case LUA_TUSERDATA: return "unsupported Lua type: LUA_TUSERDATA";
    case LUA_TTHREAD: return "unsupported Lua type: LUA_TTHREAD";
    default: return "unsupported Lua type";  // those of FFI
  }
}

bool PlainValue::read_at(lua_State* L, int index, int depth, std::string& wrong) {
  switch (lua_type(L, index)) {
    case LUA_TNIL: value_ = std::monostate(); return true;
    case LUA_TBOOLEAN: value_ = lua_toboolean(L, index) != 0; return true;
    case LUA_TNUMBER: value_ = lua_tonumber(L, index); return true;
    case LUA_TLIGHTUSERDATA: value_ = lua_touserdata(L, index); return true;
    case LUA_TSTRING: {
      size_t bytes;
      const char* text = lua_tolstring(L, index, &bytes);
      value_ = std::string(text, bytes);
      return true;
    }
    case LUA_TTABLE: return read_table(L, index, depth, wrong);
    default: wrong = unsupported_type(lua_type(L, index)); return false;
  }
}

bool PlainValue::read_table(lua_State* L, int index, int depth, std::string& wrong) {
  if (depth >= depth_max || !lua_checkstack(L, 4)) {
    wrong = format("suspicious circular references, table depth exceed max depth: {}", depth_max);
    return false;
  }
  Entries& entries = value_.emplace<Entries>();
  lua_pushnil(L);
  while (lua_next(L, index)) {
    int key = lua_gettop(L) - 1;
    for (int at : {key, key + 1}) {
      if (entries.emplace_back().read_at(L, at, depth + 1, wrong)) continue;
      lua_pop(L, 2);
      return false;
    }
    lua_pop(L, 1);
  }
  return true;
}

void PlainValue::push(lua_State* L) const {
  if (const bool* truth = std::get_if<bool>(&value_)) lua_pushboolean(L, *truth);
  else if (const double* number = std::get_if<double>(&value_)) lua_pushnumber(L, *number);
  else if (void* const* pointer = std::get_if<void*>(&value_)) lua_pushlightuserdata(L, *pointer);
  else if (const auto* text = std::get_if<std::string>(&value_)) lua_pushlstring(L, text->data(), text->size());
  else if (const auto* entries = std::get_if<Entries>(&value_)) {
    luaL_checkstack(L, 4, "nested too deeply");
    lua_createtable(L, 0, static_cast<int>(entries->size() / 2));
    for (size_t i = 0; i + 1 < entries->size(); i += 2) {
      (*entries)[i].push(L);
      (*entries)[i + 1].push(L);
      lua_rawset(L, -3);
    }
  } else {
    lua_pushnil(L);
  }
}

}  // namespace fairlead::lua
