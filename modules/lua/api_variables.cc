// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What belongs to the request and to a run: ngx.var, ngx.ctx, ngx.arg, the phase.
#include "http/request/client_facts.h"
#include "http/request/request.h"
#include "core/conf/generation.h"
#include "modules/lua/api.h"
#include "modules/lua/request_state.h"
#include "modules/lua/run.h"

namespace fairlead::lua {
namespace {

using http::Request;

// -- ngx.var --

int get_variable(lua_State* L) {
  Scope& scope = client_scope(L);
  Request& request = *scope.request;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    int group = static_cast<int>(lua_tointeger(L, 2));
    std::string_view text = group > 0 && group < 100 ? request.capture(static_cast<uint32_t>(group)) : std::string_view();
    if (!text.data()) return 0;
    push_text(L, text);
    return 1;
  }
  if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "bad variable name");
  Value value = read_variable(request, scope.vm.variable(check_text(L, 2)));
  if (!value.found) return 0;
  push_text(L, value.text);
  return 1;
}

int not_writable(lua_State* L, const char* name) {
  return luaL_error(L, "variable \"%s\" not found for writing; maybe it is a built-in variable that is not changeable or you forgot to use "
                       "\"set $%s '';\" in the config file to define it first", name, name);
}

int set_variable(lua_State* L) {
  Scope& scope = request_scope(L);
  Request& request = *scope.request;
  if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "bad variable name");
  const char* name = luaL_checkstring(L, 2);
  std::string_view text = lua_isnil(L, 3) ? std::string_view() : copy_or_empty(request.arena(), to_text(L, 3));
  const VariableRef& ref = scope.vm.variable(check_text(L, 2));  // behind to_text(), which may run a script that looks up others
  if (!ref.exists) return not_writable(L, name);
  if (ref.def) {
    if (!ref.def->set && (ref.def->flags & (variable_changeable | variable_prefix))) return not_writable(L, name);
    if (!ref.def->set) return luaL_error(L, "variable \"%s\" not changeable", name);
    ref.def->set(request, text, ref.def->datum);
    return 0;
  }
  const VariableTable::Entry& entry = request.variables().entry(ref.index);
  if (!(entry.flags & variable_changeable)) return luaL_error(L, "variable \"%s\" not changeable", name);
  if (lua_isnil(L, 3) && !entry.set) request.unset_variable(ref.index);
  else request.set_variable(ref.index, text);
  return 0;
}

// -- ngx.ctx --

// The ngx.ctx of the hooks of a client's handshake, in the slots of its connection: requests begin with what is in it.
struct HandshakeTable {
  ~HandshakeTable() {
    if (vm && vm->main()) luaL_unref(vm->main(), LUA_REGISTRYINDEX, ref);
  }
  Vm* vm = nullptr;
  int ref = LUA_NOREF;
};

// The reference of the current run's table; where a request was redirected a new one begins, but not where it was rewritten.
int& ctx_ref(lua_State* L) {
  Scope& scope = Scope::current();
  if (scope.run && !scope.request) return scope.run->ctx_ref;
  if (scope.hook == Hook::init_worker || scope.hook == Hook::exit_worker) return scope.ctx_ref;
  Request& request = *client_scope(L).request;
  if (client_tls_hooks.has(scope.hook)) {
    HandshakeTable& own = request.facts.slots.use<HandshakeTable>();
    own.vm = &scope.vm;
    return own.ref;
  }
  RequestState& state = request.slot<RequestState>();
  bool is_other_vm = state.vm && state.vm != &scope.vm;  // lua_code_cache off in one of two locations
  int redirects = request.redirects - request.rewrites;
  if (is_other_vm || state.ctx_redirects != redirects) state.drop_ctx();
  state.vm = &scope.vm;
  state.ctx_redirects = redirects;
  return state.ctx_ref;
}

// Into the table on top.
void copy_handshake_table(lua_State* L) {
  Scope& scope = Scope::current();
  if (!scope.request || client_tls_hooks.has(scope.hook) || !scope.request->facts.is_secure) return;
  const HandshakeTable* own = scope.request->facts.slots.find<HandshakeTable>();
  if (!own || own->ref == LUA_NOREF || own->vm != &scope.vm) return;  // lua_code_cache off: what is in it is of another machine
  lua_rawgeti(L, LUA_REGISTRYINDEX, own->ref);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

// A table at 1 becomes it, if there is none yet.
int get_ctx(lua_State* L) {
  int& ref = ctx_ref(L);
  if (ref == LUA_NOREF) {
    if (lua_istable(L, 1)) lua_settop(L, 1);
    else lua_createtable(L, 0, 4);
    copy_handshake_table(L);
    ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  return 1;
}

int set_ctx(lua_State* L) {
  if (!lua_istable(L, 1)) return luaL_error(L, "ctx should be a table while getting a %s", luaL_typename(L, 1));
  int& ref = ctx_ref(L);
  if (ref != LUA_NOREF) luaL_unref(L, LUA_REGISTRYINDEX, ref);
  lua_settop(L, 1);
  ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

// -- ngx.arg, of set_by_lua and body_filter_by_lua --

constexpr HookSet argument_hooks(Hook::set, Hook::body_filter);

int get_argument(lua_State* L) {
  Scope& scope = request_scope(L);
  if (!argument_hooks.has(scope.hook)) return luaL_error(L, "API disabled in the current context");
  lua_rawgeti(L, LUA_REGISTRYINDEX, scope.arg_ref);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

// What a table assigned to ngx.arg[1] may hold: texts, numbers and arrays of these. Raises for anything else.
void append_piece(lua_State* L, int index, std::string& to) {
  const char* bad = nullptr;
  if (lua_isstring(L, index)) {
    append_value(L, index, to, bad);
    return;
  }
  if (!lua_istable(L, index)) luaL_argerror(L, 3, lua_pushfstring(L, "bad data type %s found", luaL_typename(L, index)));
  luaL_checkstack(L, 4, "nested too deeply");
  int length = array_length(L, index);
  if (length < 0) luaL_argerror(L, 3, "non-array table found");
  for (int i = 1; i <= length; ++i) {
    lua_rawgeti(L, index, i);
    append_piece(L, lua_gettop(L), to);
    lua_pop(L, 1);
  }
}

// Checked here, where the script can be told, not where the chunk is used.
int set_argument(lua_State* L) {
  Scope& scope = allowed_scope(L, HookSet(Hook::body_filter));
  lua_Integer index = luaL_checkinteger(L, 2);
  if (index != 1 && index != 2) return luaL_error(L, "bad index: %d", static_cast<int>(index));
  lua_rawgeti(L, LUA_REGISTRYINDEX, scope.arg_ref);
  if (index == 2) {
    lua_pushboolean(L, lua_toboolean(L, 3));
  } else if (lua_istable(L, 3)) {
    scope.vm.text.clear();
    append_piece(L, 3, scope.vm.text);
    push_text(L, scope.vm.text);
  } else {
    if (!lua_isnil(L, 3) && !lua_isstring(L, 3)) return luaL_error(L, "bad chunk data type: %s", luaL_typename(L, 3));
    lua_pushvalue(L, 3);
  }
  lua_rawseti(L, -2, static_cast<int>(index));
  return 0;
}

int get_phase(lua_State* L) {
  lua_pushstring(L, phase_name(Scope::current().hook));
  return 1;
}

// What tells requests apart, and whatever else runs scripts; nil in init_by_lua only.
int get_request(lua_State* L) {
  Scope& scope = Scope::current();
  const void* owner = scope.owner() ? scope.owner() : &scope.vm;
  if (scope.hook == Hook::init) lua_pushnil(L);
  else lua_pushlightuserdata(L, const_cast<void*>(owner));
  return 1;
}

// A table without content, whose reads and writes are these functions.
void set_proxy(lua_State* L, const char* name, lua_CFunction get, lua_CFunction set) {
  lua_createtable(L, 0, 0);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, get);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, set);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, name);
}

constexpr luaL_Reg functions[] = {
    {"_get_ctx", get_ctx}, {"_set_ctx", set_ctx}, {"_get_request", get_request}, {nullptr, nullptr}};

}  // namespace

void add_phase(lua_State* L) {
  lua_pushcfunction(L, get_phase);
  lua_setfield(L, -2, "get_phase");
}

void add_variables(lua_State* L) {
  set_functions(L, functions);
  set_proxy(L, "var", get_variable, set_variable);
  set_proxy(L, "arg", get_argument, set_argument);
}

}  // namespace fairlead::lua
