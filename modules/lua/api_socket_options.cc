// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.socket.tcp for scripts: what is set on a socket before it connects or secures, and asked of it afterwards.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "event/worker.h"
#include "modules/lua/api.h"
#include "modules/lua/byte_methods.h"
#include "modules/lua/socket_names.h"
#include "modules/lua/tcp_socket.h"
#include "modules/lua/tls_objects.h"

namespace fairlead::lua {
namespace {

// -- options of the connected socket --

struct SocketOption {
  std::string_view name;
  int level;
  int option;
};
constexpr SocketOption socket_options[] = {
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE},     {"reuseaddr", SOL_SOCKET, SO_REUSEADDR},     {"tcp-nodelay", IPPROTO_TCP, TCP_NODELAY},
    {"sndbuf", SOL_SOCKET, SO_SNDBUF},           {"rcvbuf", SOL_SOCKET, SO_RCVBUF},           {"keepidle", IPPROTO_TCP, TCP_KEEPIDLE},
    {"keepintvl", IPPROTO_TCP, TCP_KEEPINTVL},   {"keepcnt", IPPROTO_TCP, TCP_KEEPCNT},
};

// The option that the second argument names, of an open socket. nullptr: nil and the reason are pushed.
const SocketOption* use_option(lua_State* L, const TcpSocket& socket) {
  if (!socket.was_connected()) luaL_error(L, "socket is never created nor connected");
  if (lua_isnoneornil(L, 2)) {
    push_failure(L, "missing the \"option\" argument");
    return nullptr;
  }
  std::string_view name = lua_type(L, 2) == LUA_TSTRING ? check_text(L, 2) : std::string_view();
  for (const SocketOption& each : socket_options) {
    if (each.name != name) continue;
    if (socket.is_open()) return &each;
    push_failure(L, "closed");
    return nullptr;
  }
  lua_pushnil(L);
  lua_pushfstring(L, "unsupported option %s", name.empty() ? luaL_typename(L, 2) : name.data());
  return nullptr;
}

int getoption(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  const SocketOption* option = use_option(L, socket);
  if (!option) return 2;
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(socket.connection().watch().fd(), option->level, option->option, &value, &size) < 0)
    return push_failure(L, Scope::current().vm.text = system_text(errno));
  lua_pushinteger(L, value);
  return 1;
}

int setoption(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  if (!lua_isnoneornil(L, 2) && lua_isnoneornil(L, 3)) return push_failure(L, "missing the \"value\" argument");
  const SocketOption* option = use_option(L, socket);
  if (!option) return 2;
  int value = lua_isboolean(L, 3) ? lua_toboolean(L, 3) : static_cast<int>(luaL_checkinteger(L, 3));
  if (setsockopt(socket.connection().watch().fd(), option->level, option->option, &value, sizeof value) < 0)
    return push_failure(L, Scope::current().vm.text = system_text(errno));
  lua_pushboolean(L, 1);
  return 1;
}

// bind(address, port?): where the next connect comes from.
int bind(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  waiting_run(L);
  auto address = Addr::parse_ip(check_text(L, 2));
  lua_Integer port = luaL_optinteger(L, 3, 0);
  if (port < 0 || port > 65535) return push_failure(L, "port number out of range");
  if (!address) return push_failure(L, "bad address");
  socket.options.bind = *address;
  socket.options.bind.set_port(static_cast<uint16_t>(port));
  lua_pushboolean(L, 1);
  return 1;
}

// -- TLS --

int push_no_pointer(lua_State* L, int index, const char* name) {
  lua_pushnil(L);
  lua_pushfstring(L, "bad %s arg: cdata expected, got %s", name, luaL_typename(L, index));
  return 2;
}

// setclientcert(certificates, key): what ngx.ssl parsed; nil or false for both: none.
int setclientcert(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  lua_settop(L, 3);
  bool has_chain = lua_toboolean(L, 2), has_key = lua_toboolean(L, 3);
  if (has_chain != has_key) return push_failure(L, "client certificate must be supplied with corresponding private key");
  if (!has_chain) {
    socket.certificate = KeyPair();
  } else {
    if (!pointer_at(L, 2)) return push_no_pointer(L, 2, "cert");
    if (!pointer_at(L, 3)) return push_no_pointer(L, 3, "pkey");
    socket.certificate = pair_of(check_chain(L, 2), check_key(L, 3));
  }
  lua_pushboolean(L, 1);
  return 1;
}

// settrustedstore(store): an X509_STORE out of FFI, against which the next handshake verifies.
int settrustedstore(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  auto* store = static_cast<X509_STORE*>(pointer_at(L, 2));
  if (!store) return push_no_pointer(L, 2, "store");
  if (const char* wrong = why_not(socket, true)) return push_failure(L, wrong);
  if (X509_STORE_up_ref(store) == 1) socket.trusted.reset(store);
  lua_pushboolean(L, 1);
  return 1;
}

SSL* ssl_of(lua_State* L) { return check_socket<TcpSocket>(L).ssl(); }

int getsslpointer(lua_State* L) {
  SSL* ssl = ssl_of(L);
  if (!ssl) return push_failure(L, "not ssl connection");
  push_pointer(L, ssl);
  return 1;
}

int getsslctx(lua_State* L) {
  SSL* ssl = ssl_of(L);
  if (!ssl) return push_failure(L, "not ssl connection");
  push_pointer(L, SSL_get_SSL_CTX(ssl));
  return 1;
}

int getsslsession(lua_State* L) {
  SSL* ssl = ssl_of(L);
  if (!ssl) return push_failure(L, "not ssl connection");
  SSL_SESSION* session = SSL_get1_session(ssl);
  if (!session) return push_failure(L, "no session");
  push_session(L, SslSessionPtr(session));
  return 1;
}

int getfd(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  if (!socket.is_open()) return push_failure(L, "closed");
  lua_pushinteger(L, socket.connection().watch().fd());
  return 1;
}

}  // namespace

const luaL_Reg socket_option_methods[] = {
    {"getoption", getoption},
    {"setoption", setoption},
    {"bind", bind},
    {"setclientcert", setclientcert},
    {"settrustedstore", settrustedstore},
    {"getsslpointer", getsslpointer},
    {"getsslctx", getsslctx},
    {"getsslsession", getsslsession},
    {"getfd", getfd},
    {nullptr, nullptr},
};

}  // namespace fairlead::lua
