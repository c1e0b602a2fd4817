// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.socket.udp for scripts.
#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

#include "event/worker.h"
#include "http/request/request.h"
#include "modules/lua/api.h"
#include "modules/lua/run.h"
#include "modules/lua/udp_socket.h"

namespace fairlead::lua {
namespace {

using SocketRef = std::shared_ptr<UdpSocket>;
constexpr char metatable[] = "fairlead.udp";

SocketRef& ref_of(lua_State* L) {
  SocketRef& ref = *static_cast<SocketRef*>(luaL_checkudata(L, 1, metatable));
  if (ref->owner() != Scope::current().owner()) luaL_error(L, "bad request");
  return ref;
}

int udp(lua_State* L) {
  Scope& scope = allowed_scope(L, yielding_hooks);
  const Block& place = scope.request ? *scope.request->block : scope.vm.http_block();
  SocketRef* held =
      new (lua_newuserdata(L, sizeof(SocketRef))) SocketRef(std::make_shared<UdpSocket>(*scope.vm.worker(), place, scope.owner()));
  (*held)->read_timeout_ms = conf<LuaConf>(place).socket_read_timeout;
  if (scope.request) scope.request->slot<RequestState>().owned.push_back(**held);
  else scope.run->owned.push_back(**held);
  luaL_getmetatable(L, metatable);
  lua_setmetatable(L, -2);
  return 1;
}

int collect(lua_State* L) {
  static_cast<SocketRef*>(lua_touserdata(L, 1))->~SocketRef();
  return 0;
}

Wait wait_peer(SocketRef socket, std::string host, uint16_t port, lua_State* L) {
  std::string wrong = co_await socket->set_peer(std::move(host), port);
  if (!wrong.empty()) co_return push_failure(L, wrong);
  lua_pushinteger(L, 1);
  co_return 1;
}

int setpeername(lua_State* L) {
  SocketRef& socket = ref_of(L);
  std::string_view host = check_text(L, 2);
  lua_Integer port = host.starts_with("unix:") ? 0 : luaL_checkinteger(L, 3);
  Run& run = waiting_run(L);
  if (port < 0 || port > 65535) return push_failure(L, "port number out of range");
  if (socket->is_busy) return push_failure(L, "socket busy");
  return run.wait_for(L, [&] { return wait_peer(socket, std::string(host), static_cast<uint16_t>(port), L); });
}

int send(lua_State* L) {
  SocketRef& socket = ref_of(L);
  std::string& text = Scope::current().vm.text;
  text.clear();
  const char* bad = nullptr;
  if (!append_value(L, 2, text, bad)) return luaL_argerror(L, 2, bad);
  if (!socket->is_open()) return push_failure(L, "closed");
  std::string& wrong = Scope::current().vm.printed;
  wrong = socket->send(text);
  if (!wrong.empty()) return push_failure(L, wrong);
  lua_pushinteger(L, 1);
  return 1;
}

Wait wait_datagram(SocketRef socket, size_t bytes_max, Run& run, lua_State* L) {
  std::string datagram;
  std::string wrong = co_await socket->receive(bytes_max, datagram);
  if (!wrong.empty()) {
    const Block& place = run.request() ? *run.request()->block : run.vm().http_block();
    if (wrong == "timeout" && conf<LuaConf>(place).socket_log_errors) run.logger().error("lua udp socket read timed out");
    co_return push_failure(L, wrong);
  }
  push_text(L, datagram);
  co_return 1;
}

int receive(lua_State* L) {
  SocketRef& socket = ref_of(L);
  lua_Integer bytes = luaL_optinteger(L, 2, UdpSocket::datagram_bytes_max);
  Run& run = waiting_run(L);
  if (bytes < 1) return luaL_argerror(L, 2, "bad size");
  if (!socket->is_open()) return push_failure(L, "closed");
  if (socket->is_busy) return push_failure(L, "socket busy reading");
  size_t most = std::min(static_cast<size_t>(bytes), UdpSocket::datagram_bytes_max);
  return run.wait_for(L, [&] { return wait_datagram(socket, most, run, L); });
}

int settimeout(lua_State* L) {
  double ms = luaL_optnumber(L, 2, 0);
  if (ms < 0) return luaL_error(L, "bad timeout value");
  if (ms >= 1) ref_of(L)->read_timeout_ms = static_cast<uint64_t>(std::fmin(ms, 1e12));
  return 0;
}

int close(lua_State* L) {
  SocketRef& socket = ref_of(L);
  if (!socket->is_open()) return push_failure(L, "closed");
  if (socket->is_busy) return push_failure(L, "socket busy");
  socket->close();
  lua_pushinteger(L, 1);
  return 1;
}

constexpr luaL_Reg methods[] = {{"setpeername", setpeername}, {"send", send},   {"receive", receive},
                                {"settimeout", settimeout},   {"close", close}, {nullptr, nullptr}};

}  // namespace

void add_udp(lua_State* L) {
  luaL_newmetatable(L, metatable);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_createtable(L, 0, 8);
  set_functions(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_getfield(L, -1, "socket");
  lua_pushcfunction(L, udp);
  lua_setfield(L, -2, "udp");
  lua_pop(L, 1);
}

}  // namespace fairlead::lua
