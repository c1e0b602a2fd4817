// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.socket.udp for scripts.
#include <algorithm>
#include <memory>
#include <utility>

#include "event/worker.h"
#include "http/request/request.h"
#include "modules/lua/api.h"
#include "modules/lua/run.h"
#include "modules/lua/socket_object.h"
#include "modules/lua/udp_socket.h"

namespace fairlead::lua {
namespace {

using SocketRef = std::shared_ptr<UdpSocket>;

int udp(lua_State* L) {
  check_count(L, 0, 0, "expecting zero arguments, but got %d");
  Scope& scope = allowed_scope(L, yielding_hooks);
  push_socket<UdpSocket>(L, scope, [&] {
    const Block& place = place_of(scope);
    auto socket = std::make_shared<UdpSocket>(*scope.vm.worker(), place, scope.owner());
    socket->configured_timeout_ms = socket->read_timeout_ms = conf<LuaConf>(place).socket_read_timeout;
    return socket;
  });
  return 1;
}

void log_failure(UdpSocket& socket, Run& run) {
  std::string failure = std::exchange(socket.failure, std::string());
  if (!failure.empty()) log_socket_failure(run, failure);
}

struct AskedPeer {
  std::string host;
  uint16_t port;
};

Wait wait_peer(SocketRef socket, AskedPeer peer, Run& run, lua_State* L) {
  std::string wrong = co_await socket->set_peer(std::move(peer.host), peer.port);
  Scope scope = run.aside();
  log_failure(*socket, run);
  co_return push_socket_result(L, wrong);
}

int setpeername(lua_State* L) {
  UdpSocket& socket = check_socket<UdpSocket>(L);
  std::string_view host = check_text(L, 2);
  lua_Integer port = host.starts_with("unix:") ? 0 : luaL_checkinteger(L, 3);
  Run& run = waiting_run(L);
  if (port < 0 || port > 65535) return push_failure(L, lua_pushfstring(L, "bad port number: %d", static_cast<int>(port)));
  if (socket.is_busy) return push_failure(L, "socket busy");
  return run.wait_for(L, [&] {
    AskedPeer peer{std::string(host), static_cast<uint16_t>(port)};
    return wait_peer(socket.shared_from_this(), std::move(peer), run, L);
  });
}

// Where what is sent after the next setpeername comes from.
int bind(lua_State* L) {
  UdpSocket& socket = check_socket<UdpSocket>(L);
  waiting_run(L);
  auto address = Addr::parse_ip(check_text(L, 2));
  if (!address) return push_failure(L, "bad address");
  socket.local = *address;
  lua_pushboolean(L, 1);
  return 1;
}

int refuse_closed(lua_State* L, Run& run, const char* line) {
  log_socket_failure(run, line);
  return push_failure(L, "closed");
}

int send(lua_State* L) {
  UdpSocket& socket = check_socket<UdpSocket>(L);
  Run& run = waiting_run(L);
  std::string& text = run.vm().text;
  text.clear();
  const char* bad = nullptr;
  if (!append_value(L, 2, text, bad)) return luaL_argerror(L, 2, bad);
  if (!socket.is_open()) return refuse_closed(L, run, "attempt to send data on a closed socket");
  std::string& wrong = run.vm().printed;
  wrong = socket.send(text);
  log_failure(socket, run);
  if (!wrong.empty()) return push_failure(L, wrong);
  lua_pushinteger(L, 1);
  return 1;
}

Wait wait_datagram(SocketRef socket, size_t bytes_max, Run& run, lua_State* L) {
  std::string datagram;
  std::string wrong = co_await socket->receive(bytes_max, datagram);
  Scope scope = run.aside();
  if (!wrong.empty()) {
    if (wrong == "timeout") log_socket_failure(run, "lua udp socket read timed out");
    log_failure(*socket, run);
    co_return push_failure(L, wrong);
  }
  push_text(L, datagram);
  co_return 1;
}

int receive(lua_State* L) {
  UdpSocket& socket = check_socket<UdpSocket>(L);
  lua_Integer bytes = luaL_optinteger(L, 2, 0);
  Run& run = waiting_run(L);
  if (!socket.is_open()) return refuse_closed(L, run, "attempt to receive data on a closed socket");
  if (socket.is_busy) return push_failure(L, "socket busy");
  size_t most = bytes < 1 ? UdpSocket::datagram_bytes : std::min(static_cast<size_t>(bytes), UdpSocket::datagram_bytes_max);
  return run.wait_for(L, [&] { return wait_datagram(socket.shared_from_this(), most, run, L); });
}

int settimeout(lua_State* L) {
  UdpSocket& socket = check_socket<UdpSocket>(L);
  uint64_t ms = read_timeout(L, 2);
  socket.read_timeout_ms = ms ? ms : socket.configured_timeout_ms;
  return 0;
}

int close(lua_State* L) {
  UdpSocket& socket = check_socket<UdpSocket>(L);
  if (!socket.is_open()) return push_failure(L, "closed");
  if (socket.is_busy) return push_failure(L, "socket busy");
  socket.close();
  lua_pushinteger(L, 1);
  return 1;
}

constexpr luaL_Reg methods[] = {{"setpeername", setpeername}, {"bind", bind},   {"send", send},      {"receive", receive},
                                {"settimeout", settimeout},   {"close", close}, {nullptr, nullptr}};

}  // namespace

void add_udp(lua_State* L) {
  begin_socket_type<UdpSocket>(L);
  set_functions(L, methods);
  lua_pop(L, 1);
  lua_getfield(L, -1, "socket");
  lua_pushcfunction(L, udp);
  lua_setfield(L, -2, "udp");
  lua_pop(L, 1);
}

}  // namespace fairlead::lua
