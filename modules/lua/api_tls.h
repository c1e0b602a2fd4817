// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the parts of ngx.ssl share. They are called by way of prelude/tls.lua.
#pragma once

#include "event/tls/handshake.h"
#include "modules/lua/scope.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {

// The TLS of the handshake whose hook runs, else of the client's connection. nullptr: there is none, or it is in the clear
// (push_no_ssl()). Raises in init_by_lua.
SSL* current_ssl(lua_State* L);
int push_no_ssl(lua_State* L);
// The handshake; raises in other hooks than these.
TlsHandshake& handshake_in(lua_State* L, HookSet where);
// nil and what OpenSSL says; its queue is emptied.
int push_openssl_failure(lua_State* L, const char* what);
int push_true(lua_State* L);
// Of a certificate's DER, PEM: the argument as OpenSSL reads it.
BioPtr bio_of(std::string_view text);
// The DER of certificates one behind another; nullptr: it is none.
STACK_OF(X509)* parse_der_chain(std::string_view der);

void add_tls_hello(lua_State* L);  // into the table on top: client hello, sessions
void add_ocsp(lua_State* L);

}  // namespace fairlead::lua
