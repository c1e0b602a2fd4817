// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/byte_methods.h"

#include <climits>
#include <cmath>
#include <cstring>
#include <utility>

namespace fairlead::lua {

using SocketRef = std::shared_ptr<ByteSocket>;

const char* why_not(const ByteSocket& socket, bool must_be_open) {
  if (socket.is_connecting) return "socket busy connecting";
  return must_be_open && !socket.is_open() ? "closed" : nullptr;
}

const char* why_busy(const ByteSocket& socket) {
  if (socket.is_reading) return "socket busy reading";
  if (socket.is_writing) return "socket busy writing";
  return why_not(socket, false);
}

uint64_t read_timeout(lua_State* L, int index) {
  double ms = lua_tonumber(L, index);
  if (!(ms >= 0 && ms <= INT_MAX)) luaL_error(L, "bad timeout value");
  return static_cast<uint64_t>(ms);
}

uint64_t check_milliseconds(lua_State* L, int index) {
  double ms = luaL_optnumber(L, index, 0);
  if (!(ms >= 0)) luaL_error(L, "bad timeout value");
  return static_cast<uint64_t>(std::fmin(ms, 1e12));
}

void log_socket_failure(Run& run, std::string_view what, LogLevel level) {
  if (conf<LuaConf>(place_of(run)).socket_log_errors) run.logger().write(level, "{}", what);
}

int push_socket_result(lua_State* L, const std::string& wrong) {
  if (!wrong.empty()) return push_failure(L, wrong);
  lua_pushinteger(L, 1);
  return 1;
}

namespace byte_methods {

// `late`: what a time-out is called.
static void log_outcome(Run& run, ByteSocket& socket, const std::string& wrong, const char* late) {
  if (wrong == "timeout") log_socket_failure(run, late);
  std::string failure = std::exchange(socket.failure, std::string());
  if (!failure.empty()) log_socket_failure(run, failure, socket.failure_level());
}

// `of_closed`: the line that the log gets if that is why.
static int refuse(lua_State* L, Run& run, const char* wrong, const char* of_closed) {
  if (std::strcmp(wrong, "closed") == 0) log_socket_failure(run, of_closed);
  return push_failure(L, wrong);
}

// -- send --

static Wait wait_sent(SocketRef socket, Chain bytes, Run& run, lua_State* L) {
  size_t count = bytes.size();
  std::string wrong = co_await socket->send(std::move(bytes));
  Scope scope = run.aside();
  log_outcome(run, *socket, wrong, "lua tcp socket write timed out");
  if (!wrong.empty()) co_return push_failure(L, wrong);
  lua_pushinteger(L, static_cast<lua_Integer>(count));
  co_return 1;
}

int send(lua_State* L, ByteSocket& socket) {
  Run& run = waiting_run(L);
  if (lua_gettop(L) != 2) return luaL_error(L, "expecting 2 arguments (including the object), but got %d", lua_gettop(L));
  std::string& text = run.vm().text;
  text.clear();
  const char* bad = nullptr;
  if (!append_value(L, 2, text, bad)) {
    const char* form = lua_istable(L, 2) ? "bad data type %s found" : "string, number, boolean, nil, or array table expected, got %s";
    bool is_said = std::strcmp(bad, "non-array table found") == 0;
    return luaL_argerror(L, 2, is_said ? bad : lua_pushfstring(L, form, bad));
  }
  if (socket.is_writing) return push_failure(L, "socket busy writing");
  if (const char* wrong = why_not(socket, true)) return refuse(L, run, wrong, "attempt to send data on a closed socket");
  return run.wait_for(L, [&] {
    Chain bytes;
    bytes.push_back(Slice::copy_of(text));
    return wait_sent(socket.shared_from_this(), std::move(bytes), run, L);
  });
}

// -- receive --

static Wait wait_received(SocketRef socket, Reading what, Run& run, lua_State* L) {
  ReadStep step(what, nullptr);
  std::string wrong = co_await socket->receive(step);
  Scope scope = run.aside();
  bool whole = wrong.empty() || (what.kind == Reading::Kind::all && wrong == "closed");
  if (whole) {
    push_text(L, step.result);
    co_return 1;
  }
  log_outcome(run, *socket, wrong, "lua tcp socket read timed out");
  push_failure(L, wrong);
  push_text(L, step.result);
  co_return 3;
}

static const char* why_no_read(const ByteSocket& socket) {
  if (socket.is_reading) return "socket busy reading";
  const char* wrong = why_not(socket, true);
  return !wrong && socket.has_read_all ? "closed" : wrong;
}

static int refuse_read(lua_State* L, Run& run, const char* wrong) {
  return refuse(L, run, wrong, "attempt to receive data on a closed socket");
}

static int start_reading(lua_State* L, ByteSocket& socket, Reading::Kind kind, size_t bytes) {
  Run& run = waiting_run(L);
  if (const char* wrong = why_no_read(socket)) return refuse_read(L, run, wrong);
  return run.wait_for(L, [&] { return wait_received(socket.shared_from_this(), Reading{kind, bytes, {}, false}, run, L); });
}

int receive(lua_State* L, ByteSocket& socket) {
  if (lua_type(L, 2) == LUA_TNUMBER || (lua_type(L, 2) == LUA_TSTRING && lua_isnumber(L, 2))) {
    lua_Number bytes = lua_tonumber(L, 2);
    if (bytes < 0) return luaL_argerror(L, 2, "bad pattern argument");
    if (bytes >= 1) return start_reading(L, socket, Reading::Kind::bytes, static_cast<size_t>(bytes));
    if (const char* wrong = why_not(socket, true)) return refuse_read(L, waiting_run(L), wrong);
    lua_pushliteral(L, "");
    return 1;
  }
  if (!lua_isnoneornil(L, 2) && !lua_isstring(L, 2)) return luaL_argerror(L, 2, "bad pattern argument");
  std::string_view form = lua_isnoneornil(L, 2) ? std::string_view("*l") : check_text(L, 2);
  if (form == "*a") return start_reading(L, socket, Reading::Kind::all, 0);
  if (form.size() != 2 || form[0] != '*') return luaL_argerror(L, 2, lua_pushfstring(L, "bad pattern argument: %s", form.data()));
  if (form != "*l") return luaL_argerror(L, 2, "bad pattern argument");
  return start_reading(L, socket, Reading::Kind::line, 0);
}

int receive_any(lua_State* L, ByteSocket& socket) {
  check_count(L, 2, 2, "expecting 2 arguments (including the object), but got %d");
  lua_Integer most = lua_isnumber(L, 2) ? lua_tointeger(L, 2) : 0;
  if (most < 1) return luaL_argerror(L, 2, "bad max argument");
  return start_reading(L, socket, Reading::Kind::any, static_cast<size_t>(most));
}

// -- receiveuntil --

namespace {

// Keeps an object of Lua alive, until the wait has ended or was cancelled.
class Anchor {
 public:
  Anchor(lua_State* main, int ref) : main_(main), ref_(ref) {}
  Anchor(Anchor&& other) noexcept : main_(other.main_), ref_(std::exchange(other.ref_, LUA_NOREF)) {}
  Anchor& operator=(Anchor&&) = delete;
  ~Anchor() { luaL_unref(main_, LUA_REGISTRYINDEX, ref_); }

 private:
  lua_State* main_;
  int ref_;
};

struct UntilCall {
  SocketRef socket;
  Reading what;
  UntilState* state;
  Anchor anchor;  // of the state's userdata
};

}  // namespace

static Wait wait_until(UntilCall call, Run& run, lua_State* L) {
  ReadStep step(call.what, call.state);
  std::string wrong = co_await call.socket->receive(step);
  Scope scope = run.aside();
  if (!wrong.empty()) {
    log_outcome(run, *call.socket, wrong, "lua tcp socket read timed out");
    push_failure(L, wrong);
    push_text(L, step.result);
    co_return 3;
  }
  // With a size the next call says that the pattern was met, also behind an empty piece: lua-resty-upload counts on it.
  if (!call.what.bytes) call.state->met = false;
  push_text(L, step.result);
  co_return 1;
}

int receive_next(lua_State* L, ByteSocket& socket) {
  lua_Integer size = luaL_optinteger(L, 2, 0);
  auto* state = static_cast<UntilState*>(lua_touserdata(L, lua_upvalueindex(4)));
  if (state->met) {
    state->met = false;
    for (int i = 0; i < 3; ++i) lua_pushnil(L);
    return 3;
  }
  Run& run = waiting_run(L);
  if (const char* wrong = why_no_read(socket)) return refuse_read(L, run, wrong);
  run.check_driven(L);
  lua_pushvalue(L, lua_upvalueindex(4));
  int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  return run.wait_for(L, [&] {
    size_t bytes;
    const char* pattern = lua_tolstring(L, lua_upvalueindex(2), &bytes);
    Reading what{Reading::Kind::until, static_cast<size_t>(size > 0 ? size : 0), std::string(pattern, bytes),
                 lua_toboolean(L, lua_upvalueindex(3)) != 0};
    UntilCall call{socket.shared_from_this(), std::move(what), state, Anchor(run.vm().main(), anchor)};
    return wait_until(std::move(call), run, L);
  });
}

int receive_until(lua_State* L, lua_CFunction next) {
  std::string_view pattern = check_text(L, 2);
  if (pattern.empty()) return push_failure(L, "pattern is empty");
  bool inclusive = false;
  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_getfield(L, 3, "inclusive");
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
      return luaL_error(L, "bad \"inclusive\" option value type: %s", luaL_typename(L, -1));
    inclusive = lua_toboolean(L, -1);
  }
  lua_settop(L, 2);
  lua_pushboolean(L, inclusive);
  new (lua_newuserdata(L, sizeof(UntilState))) UntilState();
  lua_pushcclosure(L, next, 4);
  return 1;
}

// -- times --

int set_timeout(lua_State* L, ByteSocket& socket) {
  check_count(L, 2, 2, "ngx.socket settimeout: expecting 2 arguments (including the object) but seen %d");
  uint64_t ms = read_timeout(L, 2);
  socket.timeouts = ms ? SocketTimeouts{ms, ms, ms} : socket.configured;
  return 0;
}

int set_timeouts(lua_State* L, ByteSocket& socket) {
  check_count(L, 4, 4, "ngx.socket settimeout: expecting 4 arguments (including the object) but seen %d");
  uint64_t connect_ms = read_timeout(L, 2), send_ms = read_timeout(L, 3), read_ms = read_timeout(L, 4);
  const SocketTimeouts& configured = socket.configured;
  socket.timeouts.connect_ms = connect_ms ? connect_ms : configured.connect_ms;
  socket.timeouts.send_ms = send_ms ? send_ms : configured.send_ms;
  socket.timeouts.read_ms = read_ms ? read_ms : configured.read_ms;
  return 0;
}

}  // namespace byte_methods
}  // namespace fairlead::lua
