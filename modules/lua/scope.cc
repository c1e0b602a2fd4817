// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/scope.h"

#include <cmath>
#include <cstring>
#include <iterator>

#include "core/base/format.h"
#include "http/request/request.h"
#include "modules/lua/run.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {

Scope::Scope(Vm& of_vm, Hook in_hook, http::Request* of_request, Logger with_logger, Run* of_run)
    : vm(of_vm), hook(in_hook), request(of_request), run(of_run), logger(with_logger), before_(current_) {
  current_ = this;
  if (is_limited()) RunLimit::enter(of_vm.main());
}

void Scope::give_texts_back() {
  give_back(vm.text);
  give_back(vm.printed);
  give_back(vm.handed_over);
  vm.hands_over = false;
}

void push_text(lua_State* L, std::string& text) {
  char copy[512];
  if (text.size() <= sizeof copy) {
    std::memcpy(copy, text.data(), text.size());
    return lua_pushlstring(L, copy, text.size());
  }
  // What a wait pushes it has for itself; in a finalizer nothing is collected.
  if (!Scope::is_inside() || Scope::current().vm.hands_over) return lua_pushlstring(L, text.data(), text.size());
  Vm& vm = Scope::current().vm;
  vm.hands_over = true;
  vm.handed_over.swap(text);
  lua_pushlstring(L, vm.handed_over.data(), vm.handed_over.size());
  vm.handed_over.swap(text);
  vm.hands_over = false;
}

void Scope::drop_ctx() { luaL_unref(vm.main(), LUA_REGISTRYINDEX, ctx_ref); }

Scope& request_scope(lua_State* L) {
  Scope& scope = client_scope(L);
  if (client_tls_hooks.has(scope.hook)) luaL_error(L, "API disabled in the current context");
  return scope;
}

Scope& client_scope(lua_State* L) {
  Scope& scope = Scope::current();
  if (scope.request) return scope;
  if (scope.hook == Hook::init) luaL_error(L, "no request found");
  luaL_error(L, "API disabled in the current context");
  return scope;
}

Scope& allowed_scope(lua_State* L, HookSet where) {
  Scope& scope = Scope::current();
  bool is_aside = yielding_hooks.has(scope.hook) && !scope.run;  // __tostring of an error that the hook has ended with
  if (is_aside || !where.has(scope.hook)) luaL_error(L, "API disabled in the context of %s", hook_name(scope.hook));
  return scope;
}

http::Request& request_of(lua_State* L) { return *request_scope(L).request; }

Run& waiting_run(lua_State* L) { return *allowed_scope(L, yielding_hooks).run; }

std::string_view check_text_or_nil(lua_State* L, int index) {
  if (lua_isnoneornil(L, index)) return {};
  return check_text(L, index);
}

std::string_view to_text(lua_State* L, int index) {
  if (index < 0) index = lua_gettop(L) + index + 1;
  if (!lua_isstring(L, index)) {
    if (luaL_callmeta(L, index, "__tostring")) {
      if (!lua_isstring(L, -1)) luaL_error(L, "'tostring' must return a string to 'print'");
    } else if (lua_isnoneornil(L, index)) {
      lua_pushliteral(L, "nil");
    } else if (lua_isboolean(L, index)) {
      lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    } else if (const void* place = lua_topointer(L, index)) {
      lua_pushfstring(L, "%s: %p", luaL_typename(L, index), place);
    } else {
      lua_pushfstring(L, "%s: NULL", luaL_typename(L, index));
    }
    lua_replace(L, index);
  }
  return check_text(L, index);
}

void check_count(lua_State* L, int least, int most, const char* message) {
  int count = lua_gettop(L);
  if (count < least || count > most) luaL_error(L, message, count);
}

int push_failure(lua_State* L, std::string_view text) {
  lua_pushnil(L);
  push_text(L, text);
  return 2;
}

void append_number(std::string& to, double number) {
  bool whole = std::nearbyint(number) == number && std::fabs(number) < 1e14;
  if (whole) fmt::format_to(std::back_inserter(to), "{}", static_cast<int64_t>(number));
  else fmt::format_to(std::back_inserter(to), "{:.14g}", number);
}

int array_length(lua_State* L, int index) {
  int most = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
    if (key < 1 || std::floor(key) != key || key > 1e8) {
      lua_pop(L, 2);
      return -1;
    }
    most = std::max(most, static_cast<int>(key));
    lua_pop(L, 1);
  }
  return most;
}

bool append_value(lua_State* L, int index, std::string& to, const char*& bad) {
  if (index < 0) index = lua_gettop(L) + index + 1;
  switch (lua_type(L, index)) {
    case LUA_TSTRING: {
      size_t bytes;
      const char* text = lua_tolstring(L, index, &bytes);
      to.append(text, bytes);
      return true;
    }
    case LUA_TNUMBER: append_number(to, lua_tonumber(L, index)); return true;
    case LUA_TNIL: to += "nil"; return true;
    case LUA_TBOOLEAN: to += lua_toboolean(L, index) ? "true" : "false"; return true;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index)) break;
      to += "null";
      return true;
    case LUA_TTABLE: {
      luaL_checkstack(L, 4, "nested too deeply");
      int length = array_length(L, index);
      if (length < 0) {
        bad = "non-array table found";
        return false;
      }
      for (int i = 1; i <= length; ++i) {
        lua_rawgeti(L, index, i);
        bool good = append_value(L, -1, to, bad);
        lua_pop(L, 1);
        if (!good) return false;
      }
      return true;
    }
    default: break;
  }
  bad = luaL_typename(L, index);
  return false;
}

void hide_metatable(lua_State* L) {
  lua_createtable(L, 0, 1);
  lua_getfield(L, -2, "__index");
  lua_setfield(L, -2, "__index");
  lua_setfield(L, -2, "__metatable");
}

void set_functions(lua_State* L, const luaL_Reg* functions) {
  for (; functions->name; ++functions) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

}  // namespace fairlead::lua
