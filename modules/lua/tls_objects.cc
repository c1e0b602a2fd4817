// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/tls_objects.h"

#include "modules/lua/socket_object.h"

namespace fairlead::lua {

namespace {

// LuaJIT's type of FFI objects, which has no public name.
constexpr int type_cdata = LUA_TTHREAD + 2;

void free_chain(STACK_OF(X509)* chain) { sk_X509_pop_free(chain, X509_free); }

// A pointer of FFI that frees what it points at.
template <class T, void (*Free)(T*)>
struct Held {
  static int collect(lua_State* L) {
    Free(*static_cast<T* const*>(lua_topointer(L, 1)));
    return 0;
  }
  // The prelude left a function for it: the C API makes no object of FFI. At the end of a wait L cannot call it: it has yielded.
  static void push(lua_State* L, T* object) {
    lua_State* caller = lua_status(L) == LUA_YIELD ? Scope::current().vm.main() : L;
    lua_getfield(caller, LUA_REGISTRYINDEX, "fairlead.held_pointer");
    lua_pushlightuserdata(caller, object);
    lua_pushcfunction(caller, &Held::collect);
    lua_call(caller, 2, 1);
    if (caller != L) lua_xmove(caller, L, 1);
  }
  static T* check(lua_State* L, int index) {
    void* pointer = pointer_at(L, index);
    if (!pointer) luaL_argerror(L, index, lua_pushfstring(L, "cdata expected, got %s", luaL_typename(L, index)));
    return static_cast<T*>(pointer);
  }
};
using Chain = Held<STACK_OF(X509), free_chain>;
using Key = Held<EVP_PKEY, EVP_PKEY_free>;
using Session = Held<SSL_SESSION, SSL_SESSION_free>;

}  // namespace

void push_chain(lua_State* L, STACK_OF(X509)* chain) { Chain::push(L, chain); }
void push_key(lua_State* L, KeyPtr key) { Key::push(L, key.release()); }
void push_session(lua_State* L, SslSessionPtr session) {
  if (session) Session::push(L, session.release());
  else lua_pushnil(L);
}

STACK_OF(X509)* check_chain(lua_State* L, int index) { return Chain::check(L, index); }
EVP_PKEY* check_key(lua_State* L, int index) { return Key::check(L, index); }

void* pointer_at(lua_State* L, int index) {
  if (lua_type(L, index) != type_cdata) return nullptr;
  lua_getfield(L, LUA_REGISTRYINDEX, "fairlead.as_pointer");
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
  void* pointer = *static_cast<void* const*>(lua_topointer(L, -1));
  lua_pop(L, 1);
  return pointer;
}

// As above.
void push_pointer(lua_State* L, const void* pointer) {
  lua_getfield(L, LUA_REGISTRYINDEX, "fairlead.pointer");
  lua_pushlightuserdata(L, const_cast<void*>(pointer));
  lua_call(L, 1, 1);
}

KeyPair pair_of(STACK_OF(X509)* chain, EVP_PKEY* key) {
  KeyPair pair;
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509Ptr one = share(sk_X509_value(chain, i));
    if (i == 0) pair.certificate = std::move(one);
    else pair.chain.push_back(std::move(one));
  }
  if (pair.certificate) pair.key = share(key);
  return pair;
}

TlsClient& tls_of(Run& run) { return *conf<LuaConf>(place_of(run)).tls; }

}  // namespace fairlead::lua
