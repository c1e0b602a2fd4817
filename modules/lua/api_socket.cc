// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.socket.tcp for scripts. The userdata holds a share of the TcpSocket; whatever waits on it holds another.
#include <cmath>
#include <new>

#include "core/base/format.h"
#include "event/worker.h"
#include "http/request/request.h"
#include "modules/lua/api.h"
#include "modules/lua/run.h"
#include "modules/lua/tcp_socket.h"

namespace fairlead::lua {
namespace {

using SocketRef = std::shared_ptr<TcpSocket>;
constexpr char metatable[] = "fairlead.tcp";

const Block& place_of(Scope& scope) { return scope.request ? *scope.request->block : scope.vm.http_block(); }

SocketRef& ref_of(lua_State* L) {
  SocketRef& ref = *static_cast<SocketRef*>(luaL_checkudata(L, 1, metatable));
  if (ref->owner() != Scope::current().owner()) luaL_error(L, "bad request");
  return ref;
}

int tcp(lua_State* L) {
  Scope& scope = allowed_scope(L, yielding_hooks);
  const LuaConf& own = conf<LuaConf>(place_of(scope));
  SocketRef* held = new (lua_newuserdata(L, sizeof(SocketRef)))
      SocketRef(std::make_shared<TcpSocket>(*scope.vm.worker(), place_of(scope), scope.owner()));
  TcpSocket& socket = **held;
  socket.timeouts = SocketTimeouts{own.socket_connect_timeout, own.socket_send_timeout, own.socket_read_timeout};
  socket.buffer_bytes = own.socket_buffer_size;
  if (scope.request) scope.request->slot<RequestState>().owned.push_back(socket);
  else scope.run->owned.push_back(socket);
  luaL_getmetatable(L, metatable);
  lua_setmetatable(L, -2);
  return 1;
}

int collect(lua_State* L) {
  static_cast<SocketRef*>(lua_touserdata(L, 1))->~SocketRef();
  return 0;
}

// nullptr: nothing stands against using it; else why not.
const char* why_not(const TcpSocket& socket, bool must_be_open) {
  if (socket.is_connecting) return "socket busy connecting";
  return must_be_open && !socket.is_open() ? "closed" : nullptr;
}

void log_failure(Run& run, std::string_view what) {
  const Block& place = run.request() ? *run.request()->block : run.vm().http_block();
  if (conf<LuaConf>(place).socket_log_errors) run.logger().error("{}", what);
}

// -- connect --

Wait wait_connected(SocketRef socket, ConnectTo to, Run& run, lua_State* L) {
  std::string target = to.host.starts_with("unix:") ? to.host : format("{}:{}", to.host, to.port);
  std::string wrong = co_await socket->connect(std::move(to));
  if (wrong.empty()) {
    lua_pushinteger(L, 1);
    co_return 1;
  }
  if (wrong == "timeout") log_failure(run, format("lua tcp socket connect timed out, when connecting to {}", target));
  else log_failure(run, format("lua tcp socket connect to {} failed: {}", target, wrong));
  co_return push_failure(L, wrong);
}

// A text option of the table at `index`, or the one given.
void read_pool_name(lua_State* L, int index, std::string& name) {
  if (!lua_istable(L, index)) return;
  lua_getfield(L, index, "pool");
  if (lua_isstring(L, -1)) name.assign(check_text(L, -1));
  else if (!lua_isnil(L, -1)) luaL_error(L, "bad \"pool\" option type: %s", luaL_typename(L, -1));
  lua_pop(L, 1);
}

int connect(lua_State* L) {
  SocketRef& socket = ref_of(L);
  std::string_view host = check_text(L, 2);
  bool local = host.starts_with("unix:");
  lua_Integer port = 0;
  if (!local) {
    if (!lua_isnumber(L, 3)) return luaL_error(L, "missing the port number");
    port = lua_tointeger(L, 3);
    if (port < 0 || port > 65535) return push_failure(L, "port number out of range");
  }
  Run& run = waiting_run(L);
  if (socket->is_reading) return push_failure(L, "socket busy reading");
  if (socket->is_writing) return push_failure(L, "socket busy writing");
  if (const char* wrong = why_not(*socket, false)) return push_failure(L, wrong);
  std::string& pool = Scope::current().vm.text;
  pool.assign(host);
  if (!local) pool += format(":{}", port);
  read_pool_name(L, local ? 3 : 4, pool);
  return run.wait_for(L, [&] {
    ConnectTo to{std::string(host), static_cast<uint16_t>(port), pool};
    return wait_connected(socket, std::move(to), run, L);
  });
}

// -- send --

struct Sending {
  SocketRef socket;
  Chain bytes;
  size_t count = 0;
};

Wait wait_sent(Sending what, Run& run, lua_State* L) {
  std::string wrong = co_await what.socket->send(std::move(what.bytes));
  if (wrong.empty()) {
    lua_pushinteger(L, static_cast<lua_Integer>(what.count));
    co_return 1;
  }
  if (wrong == "timeout") log_failure(run, "lua tcp socket write timed out");
  co_return push_failure(L, wrong);
}

int send(lua_State* L) {
  SocketRef& socket = ref_of(L);
  Run& run = waiting_run(L);
  if (lua_gettop(L) != 2) return luaL_error(L, "expecting 2 arguments (including the object), but got %d", lua_gettop(L));
  std::string& text = run.vm().text;
  text.clear();
  const char* bad = nullptr;
  if (!append_value(L, 2, text, bad)) return luaL_argerror(L, 2, bad);
  if (const char* wrong = why_not(*socket, true)) return push_failure(L, wrong);
  if (socket->is_writing) return push_failure(L, "socket busy writing");
  return run.wait_for(L, [&] {
    Sending what{socket, Chain(), text.size()};
    what.bytes.push_back(Slice::copy_of(text));
    return wait_sent(std::move(what), run, L);
  });
}

// -- receive --

Wait wait_received(SocketRef socket, Reading what, Run& run, lua_State* L) {
  ReadStep step(what, nullptr);
  std::string wrong = co_await socket->receive(step);
  bool whole = wrong.empty() || (what.kind == Reading::Kind::all && wrong == "closed");
  if (whole) {
    push_text(L, step.result);
    co_return 1;
  }
  if (wrong == "timeout") log_failure(run, "lua tcp socket read timed out");
  push_failure(L, wrong);
  push_text(L, step.result);
  co_return 3;
}

int start_reading(lua_State* L, SocketRef& socket, Reading::Kind kind, size_t bytes) {
  Run& run = waiting_run(L);
  if (const char* wrong = why_not(*socket, true)) return push_failure(L, wrong);
  if (socket->is_reading) return push_failure(L, "socket busy reading");
  return run.wait_for(L, [&] { return wait_received(socket, Reading{kind, bytes, {}, false}, run, L); });
}

int receive(lua_State* L) {
  SocketRef& socket = ref_of(L);
  if (lua_type(L, 2) == LUA_TNUMBER || (lua_type(L, 2) == LUA_TSTRING && lua_isnumber(L, 2))) {
    lua_Number bytes = lua_tonumber(L, 2);
    if (bytes < 0) return luaL_argerror(L, 2, "bad number argument");
    if (bytes >= 1) return start_reading(L, socket, Reading::Kind::bytes, static_cast<size_t>(bytes));
    lua_pushliteral(L, "");
    return 1;
  }
  std::string_view form = lua_isnoneornil(L, 2) ? std::string_view("*l") : check_text(L, 2);
  if (form == "*a") return start_reading(L, socket, Reading::Kind::all, 0);
  if (form != "*l") return luaL_argerror(L, 2, lua_pushfstring(L, "bad pattern argument: %s", form.data()));
  return start_reading(L, socket, Reading::Kind::line, 0);
}

int receiveany(lua_State* L) {
  SocketRef& socket = ref_of(L);
  lua_Integer most = luaL_checkinteger(L, 2);
  if (most < 1) return luaL_argerror(L, 2, "bad max argument");
  return start_reading(L, socket, Reading::Kind::any, static_cast<size_t>(most));
}

// -- receiveuntil: a closure over the socket, the pattern, whether it is inclusive, and the state in a userdata --

struct UntilCall {
  SocketRef socket;
  Reading what;
  UntilState* state;
  int anchor;  // of the state's userdata
};

Wait wait_until(UntilCall call, Run& run, lua_State* L) {
  ReadStep step(call.what, call.state);
  std::string wrong = co_await call.socket->receive(step);
  luaL_unref(L, LUA_REGISTRYINDEX, call.anchor);
  if (!wrong.empty()) {
    if (wrong == "timeout") log_failure(run, "lua tcp socket read timed out");
    push_failure(L, wrong);
    push_text(L, step.result);
    co_return 3;
  }
  bool only_end = call.what.bytes && call.state->met && step.result.empty();
  if (!call.what.bytes || only_end) call.state->met = false;
  if (only_end) lua_pushnil(L);
  else push_text(L, step.result);
  co_return 1;
}

int until_next(lua_State* L) {
  lua_Integer size = luaL_optinteger(L, 1, 0);
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  SocketRef& socket = ref_of(L);
  auto* state = static_cast<UntilState*>(lua_touserdata(L, lua_upvalueindex(4)));
  if (state->met) {
    state->met = false;
    lua_pushnil(L);
    return 1;
  }
  Run& run = waiting_run(L);
  if (const char* wrong = why_not(*socket, true)) return push_failure(L, wrong);
  if (socket->is_reading) return push_failure(L, "socket busy reading");
  lua_pushvalue(L, lua_upvalueindex(4));
  int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  return run.wait_for(L, [&] {
    size_t bytes;
    const char* pattern = lua_tolstring(L, lua_upvalueindex(2), &bytes);
    Reading what{Reading::Kind::until, static_cast<size_t>(size > 0 ? size : 0), std::string(pattern, bytes),
                 lua_toboolean(L, lua_upvalueindex(3)) != 0};
    return wait_until(UntilCall{socket, std::move(what), state, anchor}, run, L);
  });
}

int receiveuntil(lua_State* L) {
  ref_of(L);
  std::string_view pattern = check_text(L, 2);
  if (pattern.empty()) return push_failure(L, "pattern is empty");
  bool inclusive = false;
  if (lua_istable(L, 3)) {
    lua_getfield(L, 3, "inclusive");
    inclusive = lua_toboolean(L, -1);
  }
  lua_settop(L, 2);
  lua_pushboolean(L, inclusive);
  new (lua_newuserdata(L, sizeof(UntilState))) UntilState();
  lua_pushcclosure(L, until_next, 4);
  return 1;
}

// -- the rest --

uint64_t milliseconds(lua_State* L, int index) {
  double ms = luaL_optnumber(L, index, 0);
  if (ms < 0) luaL_error(L, "bad timeout value");
  return static_cast<uint64_t>(std::fmin(ms, 1e12));
}

int settimeout(lua_State* L) {
  SocketTimeouts& timeouts = ref_of(L)->timeouts;
  uint64_t ms = milliseconds(L, 2);
  if (ms) timeouts = SocketTimeouts{ms, ms, ms};
  return 0;
}

int settimeouts(lua_State* L) {
  SocketTimeouts& timeouts = ref_of(L)->timeouts;
  uint64_t connect_ms = milliseconds(L, 2), send_ms = milliseconds(L, 3), read_ms = milliseconds(L, 4);
  if (connect_ms) timeouts.connect_ms = connect_ms;
  if (send_ms) timeouts.send_ms = send_ms;
  if (read_ms) timeouts.read_ms = read_ms;
  return 0;
}

int setkeepalive(lua_State* L) {
  SocketRef& socket = ref_of(L);
  const LuaConf& own = conf<LuaConf>(place_of(Scope::current()));
  uint64_t idle_ms = lua_isnoneornil(L, 2) ? uint64_t{own.socket_keepalive_timeout} : milliseconds(L, 2);
  lua_Integer size = lua_isnoneornil(L, 3) ? static_cast<lua_Integer>(own.socket_pool_size) : luaL_checkinteger(L, 3);
  if (size < 1) return luaL_argerror(L, 3, "bad \"pool_size\" option value");
  if (const char* wrong = why_not(*socket, true)) return push_failure(L, wrong);
  if (socket->is_reading) return push_failure(L, "socket busy reading");
  if (socket->is_writing) return push_failure(L, "socket busy writing");
  std::string& wrong = Scope::current().vm.text;
  wrong = socket->keep(idle_ms, static_cast<size_t>(size));
  if (!wrong.empty()) return push_failure(L, wrong);
  lua_pushinteger(L, 1);
  return 1;
}

int getreusedtimes(lua_State* L) {
  SocketRef& socket = ref_of(L);
  if (!socket->is_open()) return push_failure(L, "closed");
  lua_pushinteger(L, static_cast<lua_Integer>(socket->reused()));
  return 1;
}

int close(lua_State* L) {
  SocketRef& socket = ref_of(L);
  if (!socket->is_open()) return push_failure(L, "closed");
  if (socket->is_reading) return push_failure(L, "socket busy reading");
  if (socket->is_writing) return push_failure(L, "socket busy writing");
  socket->close();
  lua_pushinteger(L, 1);
  return 1;
}

int getfd(lua_State* L) {
  SocketRef& socket = ref_of(L);
  if (!socket->is_open()) return push_failure(L, "closed");
  lua_pushinteger(L, socket->connection().watch().fd());
  return 1;
}

constexpr luaL_Reg methods[] = {
    {"connect", connect},           {"send", send},
    {"receive", receive},           {"receiveany", receiveany},
    {"receiveuntil", receiveuntil}, {"settimeout", settimeout},
    {"settimeouts", settimeouts},   {"setkeepalive", setkeepalive},
    {"getreusedtimes", getreusedtimes}, {"close", close},
    {"getfd", getfd},               {nullptr, nullptr},
};

}  // namespace

void add_sockets(lua_State* L) {
  luaL_newmetatable(L, metatable);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_createtable(L, 0, 16);
  set_functions(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_createtable(L, 0, 4);
  lua_pushcfunction(L, tcp);
  lua_setfield(L, -2, "tcp");
  lua_pushcfunction(L, tcp);
  lua_setfield(L, -2, "stream");
  lua_setfield(L, -2, "socket");
}

}  // namespace fairlead::lua
