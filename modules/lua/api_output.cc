// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a script sends, and how it ends its request.
#include <cstring>

#include "event/net/connection.h"
#include "http/message/uri.h"
#include "http/request/request.h"
#include "http/request/response.h"
#include "modules/lua/api.h"
#include "modules/lua/field_table.h"
#include "modules/lua/hooks.h"
#include "modules/lua/output.h"
#include "modules/lua/request_state.h"
#include "modules/lua/run.h"

namespace fairlead::lua {
namespace {

using http::Request;

int push_sent(lua_State* L, Output::Sent sent) {
  if (sent == Output::Sent::ended) return push_failure(L, "seen eof");
  if (sent == Output::Sent::failed) return push_failure(L, "nginx output filter error");
  lua_pushinteger(L, 1);
  return 1;
}

// After ngx.req.socket(true) the bytes of the response are the script's own.
bool is_raw(Scope& scope) { return scope.request->slot<RequestState>().is_raw; }
int refuse_raw(lua_State* L) { return push_failure(L, "raw request socket acquired"); }

int print_values(lua_State* L, bool line_end) {
  Scope& scope = allowed_scope(L, output_hooks);
  if (is_raw(scope)) return refuse_raw(L);
  std::string& text = scope.vm.printed;
  text.clear();
  int count = lua_gettop(L);
  for (int i = 1; i <= count; ++i) {
    const char* bad = nullptr;
    if (append_value(L, i, text, bad)) continue;
    if (lua_istable(L, i)) {
      bool no_array = std::strcmp(bad, "non-array table found") == 0;
      return luaL_argerror(L, i, no_array ? bad : lua_pushfstring(L, "bad data type %s found", bad));
    }
    return luaL_argerror(L, i, lua_pushfstring(L, "string, number, boolean, nil, ngx.null, or array table expected, but got %s", bad));
  }
  if (line_end) text += '\n';
  return push_sent(L, output_of(*scope.request).print(text));
}

int print(lua_State* L) { return print_values(L, false); }
int say(lua_State* L) { return print_values(L, true); }

Wait wait_drained(Output& output, Run& run, lua_State* L) {
  auto drained = co_await output.drain();
  Scope scope = run.aside();
  if (!drained) co_return push_failure(L, drained.error().what);
  lua_pushinteger(L, 1);
  co_return 1;
}

int flush(lua_State* L) {
  Scope& scope = allowed_scope(L, output_hooks);
  check_count(L, 0, 1, "attempt to pass %d arguments, but accepted 0 or 1");
  if (is_raw(scope)) return refuse_raw(L);
  Output& output = output_of(*scope.request);
  if (lua_gettop(L) > 0) luaL_checktype(L, 1, LUA_TBOOLEAN);
  bool waits = lua_toboolean(L, 1);
  if (output.is_buffered()) return push_failure(L, "http 1.0 buffering");
  if (!output.is_committed()) return push_failure(L, "nothing to flush");
  if (output.has_ended()) return push_failure(L, "seen eof");
  if (waits) return scope.run->wait_for(L, [&] { return wait_drained(output, *scope.run, L); });
  output.flush();
  lua_pushinteger(L, 1);
  return 1;
}

int eof(lua_State* L) {
  Scope& scope = allowed_scope(L, output_hooks);
  return is_raw(scope) ? refuse_raw(L) : push_sent(L, output_of(*scope.request).end());
}

int send_headers(lua_State* L) {
  Scope& scope = allowed_scope(L, output_hooks);
  return is_raw(scope) ? refuse_raw(L) : push_sent(L, output_of(*scope.request).send_head());
}

bool is_committed(Request& request) {
  Output* output = request.slot<RequestState>().output;
  return (output && output->is_committed()) || request.exchange.head_sent();
}

bool has_begun(Request& request) {
  Output* output = request.slot<RequestState>().output;
  return (output && output->has_begun()) || request.exchange.head_sent();
}

constexpr HookSet exit_hooks(Hook::server_rewrite, Hook::rewrite, Hook::access, Hook::precontent, Hook::content, Hook::timer,
                             Hook::header_filter, Hook::balancer, Hook::ssl_client_hello, Hook::ssl_certificate,
                             Hook::ssl_session_fetch, Hook::ssl_session_store, Hook::proxy_ssl_certificate, Hook::proxy_ssl_verify);

// What ngx.exit() is given: a status, ngx.OK, ngx.ERROR and so on. A number that no status can be counts as ngx.ERROR: the connection is
// closed without an answer. Not an error of the script, which a pcall could survive.
int check_exit_code(lua_State* L, Logger& logger) {
  constexpr lua_Integer status_max = 999, again = -2, done = -4;
  lua_Integer number = luaL_checkinteger(L, 1);
  if (number == again || number == done) luaL_error(L, "bad argument to 'ngx.exit': does not accept NGX_AGAIN or NGX_DONE");
  if (number >= -status_max && number <= status_max) return static_cast<int>(number);
  logger.error("attempt to exit with {}, which is no status", number);
  return -1;
}

int exit(lua_State* L) {
  Scope& scope = allowed_scope(L, exit_hooks);
  int code = check_exit_code(L, scope.logger);
  if (!scope.run) {
    scope.exit_code = code;
    return 0;
  }
  if (scope.request && code >= 300 && !is_terminal_exit(code) && has_begun(*scope.request)) {
    int said = scope.request->response.head.status ? scope.request->response.head.status : 200;
    if (code != said) scope.logger.error("attempt to set status {} via ngx.exit after sending out the response status {}", code, said);
  }
  return scope.run->end(L, Ending{Ending::Kind::exited, code, {}, {}});
}

int exec(lua_State* L) {
  Scope& scope = allowed_scope(L, output_hooks);
  Request& request = *scope.request;
  std::string_view uri = check_text(L, 1);
  if (uri.empty()) return luaL_error(L, "The uri argument is empty");
  bool is_named = uri[0] == '@';
  http::InternalUri to;
  if (!is_named) {
    auto parsed = http::parse_internal_uri(uri, request.arena());
    if (!parsed) {
      scope.logger.error("unsafe URI \"{}\" was detected", uri);
      return luaL_error(L, "unsafe uri");
    }
    to = *parsed;
  }
  std::string& text = scope.vm.text;
  text.clear();
  if (!lua_isnoneornil(L, 2)) append_query(L, 2);
  if (size_t mark = uri.find('?'); is_named && mark != std::string_view::npos) {
    if (!text.empty() && mark + 1 < uri.size()) text.insert(0, "&");
    text.insert(0, uri.substr(mark + 1));
    uri = uri.substr(0, mark);
  }
  if (is_committed(request)) return luaL_error(L, "attempt to call ngx.exec after sending out response headers");
  Ending how{Ending::Kind::redirected, 0, {}, {}};
  if (is_named && !text.empty()) scope.logger.warn("query strings {} ignored when exec'ing named location {}", text, uri);
  how.uri = request.arena().copy(is_named ? uri : to.path);
  how.args = request.arena().join({to.args, to.args.empty() || text.empty() ? "" : "&", text});
  if (how.args.empty()) how.args = to.args.data() ? std::string_view("") : std::string_view();
  return scope.run->end(L, how);
}

int redirect(lua_State* L) {
  Scope& scope = allowed_scope(L, output_hooks);
  Request& request = *scope.request;
  std::string_view uri = check_text(L, 1);
  int status = static_cast<int>(luaL_optinteger(L, 2, 302));
  bool known = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  if (!known) return luaL_error(L, "only ngx.HTTP_MOVED_TEMPORARILY, ngx.HTTP_MOVED_PERMANENTLY, ngx.HTTP_PERMANENT_REDIRECT, "
                                   "ngx.HTTP_SEE_OTHER, and ngx.HTTP_TEMPORARY_REDIRECT are allowed");
  if (is_committed(request)) return luaL_error(L, "attempt to call ngx.redirect after sending out the headers");
  http::set_location(request, request.arena().copy(uri));
  if (has_begun(request)) request.response.head.status = static_cast<uint16_t>(status);  // its body is what was held back
  request.response.foreign_location = true;
  return scope.run->end(L, Ending{Ending::Kind::exited, status, {}, {}});
}

// -- ngx.status, ngx.headers_sent, ngx.is_subrequest: fields of `ngx` that are looked up --

int get_status(lua_State* L) {
  Request& request = request_of(L);
  unsigned status = request.error_status ? request.error_status : request.response.head.status;
  lua_pushinteger(L, static_cast<int>(status));
  return 1;
}

int set_status(lua_State* L) {
  Scope& scope = request_scope(L);
  Request& request = *scope.request;
  int status = static_cast<int>(luaL_checkinteger(L, 1));
  if (is_committed(request)) {
    scope.logger.error("attempt to set ngx.status after sending out response headers");
    return 0;
  }
  if (status != 0 && (status < 100 || status > 999)) return luaL_error(L, "bad ngx.status value: %d", status);
  request.response.head.status = static_cast<uint16_t>(status);
  if (request.error_status) request.error_status = static_cast<uint16_t>(status);
  request.response.head.reason = {};
  if (lua_isstring(L, 2)) request.response.head.reason = safe_value(request.arena(), check_text(L, 2));
  return 0;
}

int get_headers_sent(lua_State* L) {
  lua_pushboolean(L, is_committed(request_of(L)));
  return 1;
}

int get_is_subrequest(lua_State* L) {
  lua_pushboolean(L, request_of(L).is_subrequest);
  return 1;
}

constexpr luaL_Reg functions[] = {
    {"print", print}, {"say", say},   {"flush", flush},       {"eof", eof},           {"send_headers", send_headers},
    {"exit", exit},   {"exec", exec}, {"redirect", redirect}, {"_get_status", get_status}, {"_set_status", set_status},
    {"_get_headers_sent", get_headers_sent}, {"_get_is_subrequest", get_is_subrequest}, {nullptr, nullptr},
};

}  // namespace

void add_output(lua_State* L) { set_functions(L, functions); }

}  // namespace fairlead::lua
