// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.shared.NAME: SharedDict for scripts. The methods are functions of one metatable (libraries call them as such); a
// dictionary is a table
// that holds its SharedDict at [1].
#include "core/base/clock.h"
#include "core/conf/generation.h"
#include "modules/lua/api.h"
#include "modules/lua/shared_dict.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

SharedDict& dict_of(lua_State* L) {
  SharedDict* dict = nullptr;
  if (lua_istable(L, 1)) {
    lua_rawgeti(L, 1, 1);
    dict = static_cast<SharedDict*>(lua_touserdata(L, -1));
    lua_pop(L, 1);
  }
  if (!dict) luaL_error(L, "bad \"zone\" argument");
  return *dict;
}

int64_t now() { return clock_here().wall_ms(); }

// The key, or an empty one with what is wrong with it. Numbers count as texts, as elsewhere in Lua.
std::string_view key_of(lua_State* L, const char*& wrong) {
  wrong = nullptr;
  if (lua_isnoneornil(L, 2)) {
    wrong = "nil key";
    return {};
  }
  if (lua_type(L, 2) != LUA_TSTRING) {  // a converted copy replaces it
    lua_getglobal(L, "tostring");
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    lua_replace(L, 2);
  }
  std::string_view key = check_text(L, 2);
  if (key.empty()) wrong = "empty key";
  if (key.size() > SharedDict::key_bytes_max) wrong = "key too long";
  return key;
}

const char* error_text(DictError error) {
  switch (error) {
    case DictError::exists: return "exists";
    case DictError::not_found: return "not found";
    case DictError::no_memory: return "no memory";
    case DictError::not_a_number: return "not a number";
    case DictError::not_a_list: return "value not a list";
    case DictError::none: break;
  }
  return "";
}

// False: it is of no type that can be stored.
bool value_of(lua_State* L, int index, DictValue& value) {
  switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL: value.type = DictType::none; return true;
    case LUA_TBOOLEAN:
      value.type = DictType::boolean;
      value.boolean = lua_toboolean(L, index);
      return true;
    case LUA_TNUMBER:
      value.type = DictType::number;
      value.number = lua_tonumber(L, index);
      return true;
    case LUA_TSTRING:
      value.type = DictType::text;
      value.text = check_text(L, index);
      return true;
    default: return false;
  }
}

int64_t milliseconds(lua_State* L, int index, const char* name) {
  double seconds = luaL_optnumber(L, index, 0);
  if (seconds < 0) luaL_error(L, "bad \"%s\" argument", name);
  return static_cast<int64_t>(to_ms(seconds));
}

// Its text's room is to be given back when the value is with Lua.
DictFound& scratch() {
  static thread_local DictFound found;
  return found;
}

void push_found(lua_State* L, DictFound& found) {
  switch (found.type) {
    case DictType::boolean: lua_pushboolean(L, found.boolean); return;
    case DictType::number: lua_pushnumber(L, found.number); return;
    case DictType::text: push_text(L, found.text); return;
    default: lua_pushnil(L);
  }
}

int get_any(lua_State* L, bool stale) {
  SharedDict& dict = dict_of(L);
  const char* wrong;
  std::string_view key = key_of(L, wrong);
  if (wrong) return push_failure(L, wrong);
  DictFound& found = scratch();
  dict.get(key, now(), stale, found);
  if (found.type == DictType::none) {
    lua_pushnil(L);
    return 1;
  }
  if (found.type == DictType::list) return push_failure(L, "value is a list");
  push_found(L, found);
  give_back(found.text);
  if (!stale && !found.flags) return 1;
  if (found.flags) lua_pushnumber(L, static_cast<int32_t>(found.flags));
  else lua_pushnil(L);
  if (!stale) return 2;
  lua_pushboolean(L, found.stale);
  return 3;
}

int get(lua_State* L) { return get_any(L, false); }
int get_stale(lua_State* L) { return get_any(L, true); }

// An integer of 32 bits, its sign kept; what lies outside of them counts as the least.
uint32_t flags_of(lua_State* L, int index) {
  double number = luaL_optnumber(L, index, 0);
  bool fits = number >= INT32_MIN && number <= INT32_MAX;
  return static_cast<uint32_t>(fits ? static_cast<int32_t>(number) : INT32_MIN);
}

int store_any(lua_State* L, SharedDict::Mode mode, bool safe) {
  SharedDict& dict = dict_of(L);
  const char* wrong;
  std::string_view key = key_of(L, wrong);
  if (wrong) return push_failure(L, wrong);
  DictValue value;
  if (!value_of(L, 3, value)) return push_failure(L, "bad value type");
  if (value.type == DictType::none && mode != SharedDict::Mode::set) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "attempt to add or replace nil values");
    lua_pushboolean(L, 0);
    return 3;
  }
  SharedDict::Store how{mode, safe, milliseconds(L, 4, "exptime"), flags_of(L, 5)};
  SharedDict::Stored stored = dict.store(key, value, how, now());
  lua_pushboolean(L, stored.error == DictError::none);
  if (stored.error == DictError::none) lua_pushnil(L);
  else lua_pushstring(L, error_text(stored.error));
  lua_pushboolean(L, stored.forcible);
  return 3;
}

int set(lua_State* L) { return store_any(L, SharedDict::Mode::set, false); }
int safe_set(lua_State* L) { return store_any(L, SharedDict::Mode::set, true); }
int add(lua_State* L) { return store_any(L, SharedDict::Mode::add, false); }
int safe_add(lua_State* L) { return store_any(L, SharedDict::Mode::add, true); }
int replace(lua_State* L) { return store_any(L, SharedDict::Mode::replace, false); }

int remove(lua_State* L) {
  SharedDict& dict = dict_of(L);
  const char* wrong;
  std::string_view key = key_of(L, wrong);
  if (wrong) return push_failure(L, wrong);
  dict.store(key, DictValue(), SharedDict::Store(), now());
  lua_pushboolean(L, 1);
  lua_pushnil(L);
  lua_pushboolean(L, 0);
  return 3;
}

int increment(lua_State* L) {
  SharedDict& dict = dict_of(L);
  const char* wrong;
  std::string_view key = key_of(L, wrong);
  if (wrong) return push_failure(L, wrong);
  SharedDict::Step step;
  step.by = luaL_checknumber(L, 3);
  if (!lua_isnoneornil(L, 4)) {
    if (!lua_isnumber(L, 4)) return luaL_error(L, "bad init arg: number expected, got %s", luaL_typename(L, 4));
    step.init = lua_tonumber(L, 4);
    if (!lua_isnoneornil(L, 5) && !lua_isnumber(L, 5))
      return luaL_error(L, "bad init_ttl arg: number expected, got %s", luaL_typename(L, 5));
    step.init_ttl_ms = milliseconds(L, 5, "init_ttl");
  } else if (!lua_isnoneornil(L, 5)) {
    return luaL_error(L, "must provide \"init\" when providing \"init_ttl\"");
  }
  double result = 0;
  SharedDict::Stored stored = dict.increment(key, step, now(), result);
  if (stored.error != DictError::none) {
    lua_pushnil(L);
    lua_pushstring(L, error_text(stored.error));
  } else {
    lua_pushnumber(L, result);
    if (!step.init) return 1;
    lua_pushnil(L);
  }
  if (!step.init || stored.error == DictError::not_a_number) return 2;
  lua_pushboolean(L, stored.forcible);
  return 3;
}

int push_any(lua_State* L, bool front) {
  check_count(L, 3, 3, "expecting 3 arguments, but only seen %d");
  SharedDict& dict = dict_of(L);
  const char* wrong;
  std::string_view key = key_of(L, wrong);
  if (wrong) return push_failure(L, wrong);
  DictValue value;
  bool good = value_of(L, 3, value) && (value.type == DictType::text || value.type == DictType::number);
  if (!good) return push_failure(L, "bad value type");
  uint32_t length = 0;
  DictError error = dict.push(key, value, front, now(), length);
  if (error != DictError::none) return push_failure(L, error_text(error));
  lua_pushnumber(L, length);
  return 1;
}
int lpush(lua_State* L) { return push_any(L, true); }
int rpush(lua_State* L) { return push_any(L, false); }

int pop_any(lua_State* L, bool front) {
  check_count(L, 2, 2, "expecting 2 arguments, but only seen %d");
  SharedDict& dict = dict_of(L);
  const char* wrong;
  std::string_view key = key_of(L, wrong);
  if (wrong) return push_failure(L, wrong);
  DictFound& found = scratch();
  DictError error = dict.pop(key, front, now(), found);
  if (error != DictError::none) return push_failure(L, error_text(error));
  push_found(L, found);
  give_back(found.text);
  return 1;
}
int lpop(lua_State* L) { return pop_any(L, true); }
int rpop(lua_State* L) { return pop_any(L, false); }

int llen(lua_State* L) {
  check_count(L, 2, 2, "expecting 2 arguments, but only seen %d");
  SharedDict& dict = dict_of(L);
  const char* wrong;
  std::string_view key = key_of(L, wrong);
  if (wrong) return push_failure(L, wrong);
  uint32_t length = 0;
  DictError error = dict.length(key, now(), length);
  if (error != DictError::none) return push_failure(L, error_text(error));
  lua_pushnumber(L, length);
  return 1;
}

int ttl(lua_State* L) {
  SharedDict& dict = dict_of(L);
  const char* wrong;
  std::string_view key = key_of(L, wrong);
  if (wrong) return push_failure(L, wrong);
  int64_t left = dict.ttl_ms(key, now());
  if (left < 0) return push_failure(L, "not found");
  lua_pushnumber(L, static_cast<double>(left) / 1000);
  return 1;
}

int expire(lua_State* L) {
  SharedDict& dict = dict_of(L);
  const char* wrong;
  std::string_view key = key_of(L, wrong);
  if (wrong) return push_failure(L, wrong);
  if (lua_isnoneornil(L, 3)) return luaL_error(L, "bad \"exptime\" argument");
  double seconds = luaL_checknumber(L, 3);  // below zero: for ever, as 0
  const auto ms = static_cast<int64_t>(to_ms(seconds));
  if (!dict.expire(key, ms, now())) return push_failure(L, "not found");
  lua_pushboolean(L, 1);
  return 1;
}

int flush_all(lua_State* L) {
  dict_of(L).flush_all();
  return 0;
}

int flush_expired(lua_State* L) {
  SharedDict& dict = dict_of(L);
  double most = luaL_optnumber(L, 2, 0);
  if (most < 0) most = 0;
  lua_pushnumber(L, static_cast<double>(dict.flush_expired(static_cast<uint64_t>(most), now())));
  return 1;
}

int get_keys(lua_State* L) {
  SharedDict& dict = dict_of(L);
  double most = luaL_optnumber(L, 2, 1024);
  std::string& packed = Scope::current().vm.text;
  packed.clear();
  dict.keys(most < 0 ? 1024 : static_cast<uint64_t>(most), now(), packed);
  lua_newtable(L);
  int count = 0;
  for (size_t at = 0; at < packed.size();) {
    uint32_t bytes;
    packed.copy(reinterpret_cast<char*>(&bytes), sizeof bytes, at);
    at += sizeof bytes;
    lua_pushlstring(L, packed.data() + at, bytes);
    lua_rawseti(L, -2, ++count);
    at += bytes;
  }
  return 1;
}

int capacity(lua_State* L) {
  lua_pushnumber(L, static_cast<double>(dict_of(L).capacity()));
  return 1;
}
int free_space(lua_State* L) {
  lua_pushnumber(L, static_cast<double>(dict_of(L).free_space()));
  return 1;
}

constexpr luaL_Reg methods[] = {
    {"get", get},         {"get_stale", get_stale}, {"set", set},           {"safe_set", safe_set},
    {"add", add},         {"safe_add", safe_add},   {"replace", replace},   {"delete", remove},
    {"incr", increment},  {"lpush", lpush},         {"rpush", rpush},       {"lpop", lpop},
    {"rpop", rpop},       {"llen", llen},           {"ttl", ttl},           {"expire", expire},
    {"flush_all", flush_all}, {"flush_expired", flush_expired}, {"get_keys", get_keys},
    {"capacity", capacity},   {"free_space", free_space},       {nullptr, nullptr},
};

}  // namespace

void add_shared(lua_State* L, Vm& vm) {
  lua_createtable(L, 0, static_cast<int>(vm.conf().shared_dicts.size()));
  if (!vm.conf().shared_dicts.empty()) {
    lua_createtable(L, 0, 24);
    set_functions(L, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    for (const SharedZone& each : vm.conf().shared_dicts) {
      lua_createtable(L, 1, 0);
      if (!each.dict) each.dict = vm.generation().arena().make<SharedDict>(*each.zone, each.bytes);
      lua_pushlightuserdata(L, each.dict);
      lua_rawseti(L, -2, 1);
      lua_pushvalue(L, -2);
      lua_setmetatable(L, -2);
      push_text(L, each.name);
      lua_insert(L, -2);
      lua_settable(L, -4);
    }
    lua_pop(L, 1);
  }
  lua_setfield(L, -2, "shared");
}

}  // namespace fairlead::lua
