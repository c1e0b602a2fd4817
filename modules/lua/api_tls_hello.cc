// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.ssl.clienthello and ngx.ssl.session for scripts.
#include <openssl/err.h>

#include "core/base/encoding.h"
#include "event/tls/client_hello.h"
#include "modules/lua/api_tls.h"

namespace fairlead::lua {
namespace {

constexpr HookSet hello_hooks(Hook::ssl_client_hello);

std::string_view view_of(const unsigned char* bytes, size_t count) { return {reinterpret_cast<const char*>(bytes), count}; }

bool find_extension(SSL& ssl, unsigned type, std::string_view& content) {
  const unsigned char* bytes = nullptr;
  size_t count = 0;
  if (SSL_client_hello_get0_ext(&ssl, type, &bytes, &count) != 1) return false;
  content = view_of(bytes, count);
  return true;
}

int get_hello_server_name(lua_State* L) {
  std::string_view content;
  bool sent = find_extension(handshake_in(L, hello_hooks).ssl, TLSEXT_TYPE_server_name, content);
  auto name = sent ? server_name_of(content) : std::nullopt;
  if (name) push_text(L, *name);
  else lua_pushnil(L);
  return 1;
}

int get_hello_ext(lua_State* L) {
  auto type = static_cast<unsigned>(luaL_checkinteger(L, 1));
  std::string_view content;
  if (find_extension(handshake_in(L, hello_hooks).ssl, type, content)) push_text(L, content);
  else lua_pushnil(L);
  return 1;
}

// An array of the types of all extensions.
int get_hello_ext_present(lua_State* L) {
  int* types = nullptr;
  size_t count = 0;
  if (SSL_client_hello_get1_extensions_present(&handshake_in(L, hello_hooks).ssl, &types, &count) != 1) {
    lua_pushnil(L);
    return 1;
  }
  // Kept where no error of Lua can lose it.
  std::string& text = Scope::current().vm.text;
  text.assign(reinterpret_cast<const char*>(types), count * sizeof(int));
  OPENSSL_free(types);
  lua_createtable(L, static_cast<int>(count), 0);
  for (size_t i = 0; i < count; ++i) {
    lua_pushinteger(L, reinterpret_cast<const int*>(text.data())[i]);
    lua_rawseti(L, -2, static_cast<int>(i + 1));
  }
  return 1;
}

// 16-bit numbers, most significant byte first, as an array.
int push_numbers(lua_State* L, std::string_view bytes) {
  lua_newtable(L);
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    lua_pushinteger(L, static_cast<unsigned char>(bytes[i]) << 8 | static_cast<unsigned char>(bytes[i + 1]));
    lua_rawseti(L, -2, static_cast<int>(i / 2 + 1));
  }
  return 1;
}

// Of the supported_versions extension (RFC 8446 section 4.2.1), as numbers.
int get_hello_versions(lua_State* L) {
  std::string_view content;
  if (find_extension(handshake_in(L, hello_hooks).ssl, TLSEXT_TYPE_supported_versions, content) && !content.empty())
    return push_numbers(L, content.substr(1, static_cast<unsigned char>(content[0])));
  lua_pushnil(L);
  return 1;
}

int get_hello_ciphers(lua_State* L) {
  const unsigned char* bytes = nullptr;
  size_t count = SSL_client_hello_get0_ciphers(&handshake_in(L, hello_hooks).ssl, &bytes);
  return push_numbers(L, view_of(bytes, count));
}

// An array of names, "TLSv1.2".
int set_protocols(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  uint32_t wanted = 0;
  for (int i = 1; i <= static_cast<int>(lua_objlen(L, 1)); ++i) {
    lua_rawgeti(L, 1, i);
    std::string_view name = check_text(L, -1);
    uint32_t before = wanted;
    for (const auto& word : EnumWords<TlsProtocol>::all)
      if (word.word == name) wanted |= static_cast<uint32_t>(word.value);
    if (wanted == before) return push_failure(L, "invalid protocols failed");
    lua_pop(L, 1);
  }
  if (wanted == 0) return push_failure(L, "no protocols");
  handshake_in(L, hello_hooks).protocols = wanted;
  return push_true(L);
}

// -- sessions --

// nullptr in other hooks than these: there is no session to speak of (push_no_ssl()).
TlsHandshake* session_handshake(lua_State* L, HookSet where) {
  current_ssl(L);  // raises where there is no connection at all
  Scope& scope = Scope::current();
  return where.has(scope.hook) ? scope.handshake : nullptr;
}

int get_session_id(lua_State* L) {
  TlsHandshake* known = session_handshake(L, HookSet(Hook::ssl_session_fetch, Hook::ssl_session_store));
  if (!known) return push_no_ssl(L);
  TlsHandshake& handshake = *known;
  const unsigned char* bytes = nullptr;
  size_t count = 0;
  if (handshake.made) {
    unsigned made_bytes = 0;
    bytes = SSL_SESSION_get_id(handshake.made, &made_bytes);
    count = made_bytes;
  } else {
    count = SSL_client_hello_get0_session_id(&handshake.ssl, &bytes);
  }
  std::string& text = Scope::current().vm.text;
  text = hex(view_of(bytes, count));
  push_text(L, text);
  return 1;
}

int get_serialized_session(lua_State* L) {
  TlsHandshake* handshake = session_handshake(L, HookSet(Hook::ssl_session_store));
  if (!handshake) return push_no_ssl(L);
  int bytes = i2d_SSL_SESSION(handshake->made, nullptr);
  if (bytes <= 0) return push_openssl_failure(L, "i2d_SSL_SESSION()");
  std::string& text = Scope::current().vm.text;
  text.resize(static_cast<size_t>(bytes));
  auto* at = reinterpret_cast<unsigned char*>(text.data());
  i2d_SSL_SESSION(handshake->made, &at);
  push_text(L, text);
  return 1;
}

int set_serialized_session(lua_State* L) {
  TlsHandshake* handshake = session_handshake(L, HookSet(Hook::ssl_session_fetch));
  if (!handshake) return push_no_ssl(L);
  std::string_view der = check_text(L, 1);
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  SSL_SESSION* found = d2i_SSL_SESSION(nullptr, &at, static_cast<long>(der.size()));
  if (!found) {
    ERR_clear_error();
    return push_failure(L, "failed to de-serialize session");
  }
  handshake->found.reset(found);
  return push_true(L);
}

constexpr luaL_Reg functions[] = {
    {"get_hello_server_name", get_hello_server_name},
    {"get_hello_ext", get_hello_ext},
    {"get_hello_ext_present", get_hello_ext_present},
    {"get_hello_versions", get_hello_versions},
    {"get_hello_ciphers", get_hello_ciphers},
    {"set_protocols", set_protocols},
    {"get_session_id", get_session_id},
    {"get_serialized_session", get_serialized_session},
    {"set_serialized_session", set_serialized_session},
    {nullptr, nullptr},
};

}  // namespace

void add_tls_hello(lua_State* L) { set_functions(L, functions); }

}  // namespace fairlead::lua
