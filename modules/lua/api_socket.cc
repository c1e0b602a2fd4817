// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.socket.tcp for scripts: what such a socket has besides reading and writing (byte_methods.h).
#include <cmath>
#include <utility>

#include "core/base/format.h"
#include "event/worker.h"
#include "http/request/request.h"
#include "modules/lua/api.h"
#include "modules/lua/byte_methods.h"
#include "modules/lua/run.h"
#include "modules/lua/tls_objects.h"
#include "modules/lua/tcp_socket.h"

namespace fairlead::lua {
namespace {

using SocketRef = std::shared_ptr<TcpSocket>;

SocketRef share(TcpSocket& socket) { return std::static_pointer_cast<TcpSocket>(socket.shared_from_this()); }

int tcp(lua_State* L) {
  check_count(L, 0, 0, "expecting zero arguments, but got %d");
  Scope& scope = allowed_scope(L, yielding_hooks);
  push_socket<TcpSocket>(L, scope, [&] {
    const Block& place = place_of(scope);
    const LuaConf& own = conf<LuaConf>(place);
    auto socket = std::make_shared<TcpSocket>(*scope.vm.worker(), place, scope.owner());
    socket->configured = socket->timeouts = SocketTimeouts{own.socket_connect_timeout, own.socket_send_timeout, own.socket_read_timeout};
    socket->buffer_bytes = own.socket_buffer_size;
    socket->options.send_low_water = static_cast<int>(own.socket_send_lowat);
    return socket;
  });
  return 1;
}

// -- connect --

Wait wait_connected(SocketRef socket, ConnectTo to, Run& run, lua_State* L) {
  std::string target = to.host.starts_with("unix:") ? to.host : format("{}:{}", to.host, to.port);
  std::string wrong = co_await socket->connect(std::move(to));
  Scope scope = run.aside();
  std::string failure = std::exchange(socket->failure, std::string());
  bool is_late = wrong == "timeout", was_queued = is_late && !failure.empty();
  if (is_late && !was_queued) failure = "lua tcp socket connect timed out";
  const char* doing = was_queued ? "trying to connect" : "connecting";
  if (!failure.empty()) log_socket_failure(run, format("{}, when {} to {}", failure, doing, target));
  co_return push_socket_result(L, wrong);
}

// -- the options of connect: pool, pool_size, backlog. Raise for what is none --

void read_pool_name(lua_State* L, int index, std::string& name) {
  lua_getfield(L, index, "pool");
  if (lua_isstring(L, -1)) name.assign(check_text(L, -1));
  else if (!lua_isnil(L, -1)) luaL_argerror(L, index, lua_pushfstring(L, "bad \"pool\" option type: %s", luaL_typename(L, -1)));
  lua_pop(L, 1);
}

// -1: it is not there.
lua_Integer read_count(lua_State* L, int index, const char* name, lua_Integer least) {
  lua_getfield(L, index, name);
  lua_Integer count = -1;
  if (lua_isnumber(L, -1)) {
    count = lua_tointeger(L, -1);
    if (count < least) luaL_argerror(L, index, lua_pushfstring(L, "bad \"%s\" option value: %d", name, static_cast<int>(count)));
  } else if (!lua_isnil(L, -1)) {
    luaL_argerror(L, index, lua_pushfstring(L, "bad \"%s\" option type: %s", name, luaL_typename(L, -1)));
  }
  lua_pop(L, 1);
  return count;
}

// Without a size of its own a pool with a backlog has that of lua_socket_pool_size.
std::optional<PoolShape> read_shape(lua_State* L, int index) {
  lua_Integer size = read_count(L, index, "pool_size", 1), backlog = read_count(L, index, "backlog", 0);
  if (size < 0 && backlog < 0) return std::nullopt;
  PoolShape shape;
  shape.size = size > 0 ? static_cast<size_t>(size) : conf<LuaConf>(place_of(Scope::current())).socket_pool_size;
  if (backlog >= 0) shape.backlog = static_cast<size_t>(backlog);
  return shape;
}

int connect(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  check_count(L, 2, 4, "ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), but seen %d");
  std::string_view host = check_text(L, 2);
  bool local = host.starts_with("unix:");
  lua_Integer port = 0;
  if (!local) {
    if (!lua_isnumber(L, 3)) return push_failure(L, "missing the port number");
    port = lua_tointeger(L, 3);
    if (port < 0 || port > 65535) return push_failure(L, lua_pushfstring(L, "bad port number: %d", static_cast<int>(port)));
  }
  Run& run = waiting_run(L);
  if (const char* wrong = why_busy(socket)) return push_failure(L, wrong);
  std::string& pool = Scope::current().vm.text;
  pool.assign(host);
  if (!local) pool += format(":{}", port);
  std::optional<PoolShape> shape;
  if (int options = local ? 3 : 4; lua_istable(L, options)) {
    read_pool_name(L, options, pool);
    shape = read_shape(L, options);
  }
  return run.wait_for(L, [&] {
    ConnectTo to{std::string(host), static_cast<uint16_t>(port), pool, shape};
    return wait_connected(share(socket), std::move(to), run, L);
  });
}

// -- TLS --

struct Handshake {
  SocketRef socket;
  TlsClient& tls;
  SecureWith with;
  bool wants_session;
};

Wait wait_secured(Handshake what, Run& run, lua_State* L) {
  std::string name = what.with.name;
  std::string wrong = co_await what.socket->secure(what.tls, std::move(what.with));
  Scope scope = run.aside();
  if (wrong.empty()) {
    if (what.wants_session) push_session(L, SslSessionPtr(SSL_get1_session(what.socket->ssl())));
    else lua_pushboolean(L, 1);
    co_return 1;
  }
  std::string failure = std::exchange(what.socket->failure, std::string());
  if (wrong == "timeout") log_socket_failure(run, "lua ssl handshake timed out");
  else if (wrong == "certificate host mismatch") log_socket_failure(run, format("lua ssl certificate does not match host \"{}\"", name));
  else if (wrong == "handshake failed") log_socket_failure(run, failure);
  else log_socket_failure(run, format("lua ssl certificate verify error: ({})", wrong));
  co_return push_failure(L, wrong);
}

// sslhandshake(session?, name?, verify?, send_status_req?)
int sslhandshake(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  Run& run = waiting_run(L);
  int count = lua_gettop(L);
  if (count > 5) return luaL_error(L, "ngx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen %d", count);
  lua_settop(L, 5);
  auto* resumed = static_cast<SSL_SESSION*>(pointer_at(L, 2));
  std::string_view name = lua_isnil(L, 3) ? std::string_view() : check_text(L, 3);
  if (const char* wrong = why_not(socket, true)) return push_failure(L, wrong);
  if (const char* wrong = why_busy(socket)) return push_failure(L, wrong);
  TlsClient& tls = tls_of(run);
  bool verifies = lua_toboolean(L, 4), asks_for_status = lua_toboolean(L, 5);
  bool wants_session = !(lua_isboolean(L, 2) && !lua_toboolean(L, 2));
  return run.wait_for(L, [&] {
    SecureWith with;
    if (resumed && SSL_SESSION_up_ref(resumed) == 1) with.session.reset(resumed);
    with.name = name;
    with.verifies = verifies;
    with.asks_for_status = asks_for_status;
    with.trusted = std::move(socket.trusted);
    Handshake what{share(socket), tls, std::move(with), wants_session};
    return wait_secured(std::move(what), run, L);
  });
}

// -- the rest --

int setkeepalive(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  const LuaConf& own = conf<LuaConf>(place_of(Scope::current()));
  double wanted_ms = luaL_optnumber(L, 2, static_cast<double>(own.socket_keepalive_timeout));
  uint64_t idle_ms = wanted_ms < 0 ? 1 : static_cast<uint64_t>(std::fmin(wanted_ms, 1e12));
  lua_Integer size = lua_isnoneornil(L, 3) ? static_cast<lua_Integer>(own.socket_pool_size) : luaL_checkinteger(L, 3);
  if (const char* wrong = why_not(socket, true)) return push_failure(L, wrong);
  if (const char* wrong = why_busy(socket)) return push_failure(L, wrong);
  if (size < 1 && !socket.has_pool())
    return luaL_argerror(L, 3, lua_pushfstring(L, "bad \"pool_size\" option value: %d", static_cast<int>(size)));
  std::string& wrong = Scope::current().vm.text;
  wrong = socket.keep(idle_ms, static_cast<size_t>(size));
  if (!wrong.empty()) return push_failure(L, wrong);
  lua_pushinteger(L, 1);
  return 1;
}

int getreusedtimes(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  if (!socket.is_open()) return push_failure(L, "closed");
  lua_pushinteger(L, static_cast<lua_Integer>(socket.reused()));
  return 1;
}

int close(lua_State* L) {
  TcpSocket& socket = check_socket<TcpSocket>(L);
  if (const char* wrong = why_busy(socket)) return push_failure(L, wrong);
  if (!socket.is_open()) return push_failure(L, "closed");
  socket.close();
  lua_pushinteger(L, 1);
  return 1;
}

constexpr luaL_Reg methods[] = {
    {"connect", connect},
    {"sslhandshake", sslhandshake},
    {"setkeepalive", setkeepalive},
    {"getreusedtimes", getreusedtimes},
    {"close", close},
    {nullptr, nullptr},
};

}  // namespace

void add_sockets(lua_State* L) {
  begin_socket_type<TcpSocket>(L);
  set_functions(L, read_methods<TcpSocket>);
  set_functions(L, write_methods<TcpSocket>);
  set_functions(L, methods);
  set_functions(L, socket_option_methods);
  lua_pop(L, 1);
  lua_createtable(L, 0, 4);
  lua_pushcfunction(L, tcp);
  lua_setfield(L, -2, "tcp");
  lua_pushcfunction(L, tcp);
  lua_setfield(L, -2, "stream");
  lua_setfield(L, -2, "socket");
}

}  // namespace fairlead::lua
