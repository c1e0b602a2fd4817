// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.req.socket for scripts.
#include "http/request/read_body.h"
#include "http/request/request.h"
#include "modules/lua/api.h"
#include "modules/lua/body_read.h"
#include "modules/lua/byte_methods.h"
#include "modules/lua/output.h"
#include "modules/lua/request_socket.h"
#include "modules/lua/run.h"

namespace fairlead::lua {
namespace {

using http::Request;

int push_request_socket(lua_State* L, Scope& scope, Connection* raw) {
  push_socket<RequestSocket>(L, scope, [&] {
    Request& request = *scope.request;
    const LuaConf& own = conf<LuaConf>(request);
    auto socket = std::make_shared<RequestSocket>(request, raw, scope.owner());
    socket->configured = socket->timeouts = SocketTimeouts{own.socket_connect_timeout, own.socket_send_timeout, own.socket_read_timeout};
    socket->buffer_bytes = own.socket_buffer_size;
    return socket;
  });
  return 1;
}

// A body socket was given to the script, and has not read all of what the head announced.
bool has_rest_of_body(const Request& request, const RequestState& state) {
  if (!state.body_is_taken || state.body_is_dropped) return false;
  int64_t length = request.head.framing.content_length;
  return length == http::no_length || request.exchange.received_body_bytes() < static_cast<uint64_t>(length);
}

int raw_socket(lua_State* L, Scope& scope) {
  Request& request = *scope.request;
  RequestState& state = request.slot<RequestState>();
  if (request.head.version_major >= 2) return push_failure(L, "http v2 not supported yet");
  if (state.is_raw) return push_failure(L, "duplicate call");
  bool is_being_read = is_reading_body(scope.run) || has_rest_of_body(request, state);
  if (is_being_read) return push_failure(L, "pending request body reading in some other thread");
  if (state.output && state.output->is_buffered()) return push_failure(L, "http 1.0 buffering");
  if (state.output && state.output->is_committed()) state.output->flush();
  Connection* connection = request.exchange.take_connection();
  if (!connection) return push_failure(L, "pending data to write");
  state.is_raw = state.body_is_taken = true;
  return push_request_socket(L, scope, connection);
}

int body_socket(lua_State* L, Scope& scope) {
  Request& request = *scope.request;
  RequestState& state = request.slot<RequestState>();
  if (state.body_is_dropped) return push_failure(L, "no body");
  bool is_elsewhere = state.body_is_taken || request.spooled_body || request.passed_body || is_reading_body(scope.run);
  if (is_elsewhere) return push_failure(L, "request body already exists");
  if (!request.head.has_body()) return push_failure(L, "no body");
  state.body_is_taken = true;
  http::lose_body(request, Error{Fault::unavailable, Side::local, 0, "client request body was taken by ngx.req.socket and not replaced"});
  return push_request_socket(L, scope, nullptr);
}

int socket(lua_State* L) {
  Scope& scope = allowed_scope(L, output_hooks);
  if (scope.request->is_subrequest) return luaL_error(L, "attempt to read the request body in a subrequest");
  return lua_toboolean(L, 1) ? raw_socket(L, scope) : body_socket(L, scope);
}

int send(lua_State* L) {
  RequestSocket& socket = check_socket<RequestSocket>(L);
  if (!socket.is_raw()) return luaL_error(L, "attempt to send over a request socket that is not raw");
  return byte_methods::send(L, socket);
}

}  // namespace

void add_request_socket(lua_State* L) {
  begin_socket_type<RequestSocket>(L);
  set_functions(L, read_methods<RequestSocket>);
  lua_pushcfunction(L, send);
  lua_setfield(L, -2, "send");
  lua_pop(L, 1);
  lua_getfield(L, -1, "req");
  lua_pushcfunction(L, socket);
  lua_setfield(L, -2, "socket");
  lua_pop(L, 1);
}

}  // namespace fairlead::lua
