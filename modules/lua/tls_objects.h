// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// OpenSSL's objects as scripts hold them: certificates, keys and sessions as pointers of FFI (void*), which libraries cast and give back;
// those made here free what they point at when they are collected.
#pragma once

#include <lua.hpp>

#include "event/tls/openssl.h"
#include "event/tls/pem.h"

namespace fairlead {
class TlsClient;
}

namespace fairlead::lua {

class Run;

// Certificates, the leaf first.
void push_chain(lua_State* L, STACK_OF(X509)* chain);  // takes it
void push_key(lua_State* L, KeyPtr key);
void push_session(lua_State* L, SslSessionPtr session);  // nil for nullptr
// Raise unless it is a pointer of FFI. What it points at they take on trust, as FFI does.
STACK_OF(X509)* check_chain(lua_State* L, int index);
EVP_PKEY* check_key(lua_State* L, int index);
// As FFI has it: void*.
void push_pointer(lua_State* L, const void* pointer);
// A pointer out of FFI; nullptr: it is nothing of FFI. Raises for what FFI has and is no pointer. `index` is positive.
void* pointer_at(lua_State* L, int index);

// Shares of all of them.
KeyPair pair_of(STACK_OF(X509)* chain, EVP_PKEY* key);

// What sockets of a run are secured with: lua_ssl_* where it runs.
TlsClient& tls_of(Run& run);

}  // namespace fairlead::lua
