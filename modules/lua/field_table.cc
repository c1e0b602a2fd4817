// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/field_table.h"

#include <algorithm>

#include "core/base/text.h"
#include "http/message/scan.h"
#include "modules/lua/api.h"

namespace fairlead::lua {

bool RepeatTable::take_room() {
  if (left_ == 0) {
    lua_pop(L_, 2);
    truncated_ = true;
    return false;
  }
  if (left_ > 0) --left_;
  return true;
}

bool RepeatTable::add_first() {
  if (!take_room()) return false;
  lua_rawset(L_, -3);
  return true;
}

bool RepeatTable::add() {
  if (!take_room()) return false;
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

static bool is_good_in_name(char byte) { return http::scan::is_token_byte(byte); }
static bool is_good_in_value(char byte) { return byte == '\t' || (static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f); }

template <bool (*is_good)(char)>
static std::string_view escaped(Arena& arena, std::string_view text) {
  auto bad = static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char byte) { return !is_good(byte); }));
  if (bad == 0) return arena.copy(text);
  constexpr char digits[] = "0123456789ABCDEF";
  char* to = static_cast<char*>(arena.allocate(text.size() + 2 * bad, 1));
  char* at = to;
  for (char byte : text) {
    if (is_good(byte)) {
      *at++ = byte;
      continue;
    }
    *at++ = '%';
    *at++ = digits[static_cast<unsigned char>(byte) >> 4];
    *at++ = digits[byte & 15];
  }
  return {to, static_cast<size_t>(at - to)};
}

std::string_view safe_name(Arena& arena, std::string_view name) {
  return http::scan::is_plain_name(name) ? arena.copy(name) : escaped<is_good_in_name>(arena, name);
}
std::string_view safe_value(Arena& arena, std::string_view value) {
  return http::scan::has_control(value) ? escaped<is_good_in_value>(arena, value) : arena.copy(value);
}

FieldNames::FieldNames(lua_State* L, bool raw) : L_(L) {
  static char key;  // its address is what no script can name
  if (raw) return;
  lua_pushlightuserdata(L, &key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (lua_type(L, -1) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, static_cast<int>(http::known_header_count), 0);
    lua_pushlightuserdata(L, &key);
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
  }
  kept_ = lua_gettop(L);
}

void FieldNames::push(http::KnownHeader known, std::string_view name) {
  bool may_keep = kept_ != 0 && known != http::KnownHeader::other;
  if (may_keep) {
    lua_rawgeti(L_, kept_, static_cast<int>(known));
    if (lua_type(L_, -1) == LUA_TSTRING) return;
    lua_pop(L_, 1);
  }
  char lowered[256];
  if (kept_ == 0 || name.size() > sizeof lowered) {
    lua_pushlstring(L_, name.data(), name.size());
  } else {
    lower_into(lowered, name);
    lua_pushlstring(L_, lowered, name.size());
  }
  if (!may_keep) return;
  lua_pushvalue(L_, -1);
  lua_rawseti(L_, kept_, static_cast<int>(known));
}

void set_fields_metatable(lua_State* L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "fairlead.fields");
  lua_setmetatable(L, -2);
}

}  // namespace fairlead::lua
