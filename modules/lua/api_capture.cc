// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.location.capture and capture_multi: subrequests whose responses a script gets.
#include <memory>
#include <vector>

#include "core/base/format.h"
#include "core/conf/generation.h"
#include "event/loop/child.h"
#include "http/message/chunks_body.h"
#include "http/request/detached.h"
#include "http/request/request.h"
#include "http/request/spool.h"
#include "http/request/subrequest.h"
#include "modules/lua/api.h"
#include "modules/lua/field_table.h"
#include "modules/lua/machine.h"
#include "modules/lua/method_number.h"
#include "modules/lua/request_state.h"
#include "modules/lua/run.h"

namespace fairlead::lua {
namespace {

using http::Headers;
using http::KnownHeader;
using http::Request;

struct AssignedVar {
  uint32_t index;
  std::string_view text;
  AssignedVar* next;
};

// One of the subrequests wanted, in the parent's arena.
struct Asked {
  http::SubrequestPlan plan;
  AssignedVar* vars = nullptr;
  bool copies_vars = false;
  int ctx_ref = LUA_NOREF;  // becomes the child's
  Asked* next = nullptr;
};

// The child is cancelled before what it runs.
struct Part {
  Part(Request& parent, const Asked& asked) : made(parent, asked.plan) {}
  http::Subrequest made;
  Child<Unit> running;
};

void prepare(Part& part, Request& parent, const Asked& asked, Vm& vm) {
  Request& child = part.made.request();
  if (asked.copies_vars) child.take_assigned(parent);
  for (const AssignedVar* var = asked.vars; var; var = var->next) child.set_variable(var->index, var->text);
  if (!asked.plan.body) child.slot<http::FramingFields>();
  else child.head.headers.set(KnownHeader::content_length, child.arena().copy(format("{}", asked.plan.body_bytes)));
  share_machine(child, parent);
  if (asked.ctx_ref == LUA_NOREF) return;
  RequestState& state = child.slot<RequestState>();
  state.vm = &vm;
  state.ctx_ref = asked.ctx_ref;
}

void push_header(lua_State* L, http::Subrequest& made) {
  lua_newtable(L);
  RepeatTable table(L, 0);
  bool typed = false;
  for (const Headers::Field& field : made.fields()) {
    typed = typed || field.known == KnownHeader::content_type;
    push_text(L, field.name);
    push_text(L, field.value);
    table.add();
  }
  if (!typed && !made.content_type().empty()) {
    lua_pushliteral(L, "Content-Type");
    push_text(L, made.content_type());
    table.add();
  }
  int64_t length = made.request().response.head.framing.content_length;
  if (length != http::no_length && made.has_response()) {
    lua_pushliteral(L, "Content-Length");
    lua_pushinteger(L, static_cast<lua_Integer>(length));
    table.add();
  }
  set_fields_metatable(L);
}

void push_response(lua_State* L, Vm& vm, http::Subrequest& made) {
  lua_createtable(L, 0, 4);
  unsigned status = made.status();
  lua_pushinteger(L, static_cast<lua_Integer>(status ? status : 500));
  lua_setfield(L, -2, "status");
  push_header(L, made);
  lua_setfield(L, -2, "header");
  vm.text.clear();
  const Chain& body = made.body();
  for (size_t i = 0; i < body.count(); ++i) vm.text.append(body[i].view());
  push_text(L, vm.text);
  lua_setfield(L, -2, "body");
  lua_pushboolean(L, made.is_cut() || !made.has_response());
  lua_setfield(L, -2, "truncated");
}

Wait wait_captured(Run& run, lua_State* L, const Asked* first) {
  Request& parent = *run.request();
  std::vector<std::unique_ptr<Part>> parts;
  for (const Asked* asked = first; asked; asked = asked->next) {
    parts.push_back(std::make_unique<Part>(parent, *asked));
    prepare(*parts.back(), parent, *asked, run.vm());
  }
  for (auto& part : parts) part->running.start(part->made.run());
  for (auto& part : parts) {
    Child<Unit>& running = part->running;
    co_await running;
  }
  Scope scope = run.aside();
  lua_checkstack(L, static_cast<int>(parts.size()) + 8);
  for (auto& part : parts) push_response(L, run.vm(), part->made);
  co_return static_cast<int>(parts.size());
}

// -- reading the options; all of these may raise --

void read_args(lua_State* L, int options, Request& parent, http::SubrequestPlan& plan) {
  lua_getfield(L, options, "args");
  if (lua_istable(L, -1)) append_arguments(L, lua_gettop(L));
  else if (lua_isstring(L, -1)) Scope::current().vm.text.assign(check_text(L, -1));
  else if (lua_isnil(L, -1)) Scope::current().vm.text.clear();
  else luaL_error(L, "Bad args option value");
  lua_pop(L, 1);
  const std::string& text = Scope::current().vm.text;
  if (text.empty()) return;
  plan.args = parent.arena().join({plan.args, plan.args.empty() ? "" : "&", text});
}

void read_vars(lua_State* L, int options, Request& parent, Asked& asked) {
  lua_getfield(L, options, "vars");
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "attempt to use a non-string key in the \"vars\" option table");
      if (!lua_isstring(L, -1)) luaL_error(L, "attempt to use bad variable value type %s", luaL_typename(L, -1));
      std::string_view name = check_text(L, -2);
      const VariableRef& ref = Scope::current().vm.variable(name);
      bool settable = ref.exists && !ref.def && (parent.variables().entry(ref.index).flags & variable_changeable);
      if (!settable) luaL_error(L, "variable \"%s\" cannot be assigned a value (maybe you forgot to define it first?)", name.data());
      asked.vars = parent.arena().make<AssignedVar>(AssignedVar{ref.index, parent.arena().copy(check_text(L, -1)), asked.vars});
      lua_pop(L, 1);
    }
  } else if (!lua_isnil(L, -1)) {
    luaL_error(L, "Bad vars option value");
  }
  lua_pop(L, 1);
}

bool read_flag(lua_State* L, int options, const char* name) {
  lua_getfield(L, options, name);
  if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) luaL_error(L, "Bad %s option value", name);
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

void read_method(lua_State* L, int options, http::SubrequestPlan& plan) {
  lua_getfield(L, options, "method");
  if (!lua_isnil(L, -1)) {
    if (lua_type(L, -1) != LUA_TNUMBER) luaL_error(L, "Bad http request method");
    auto method = method_of_number(static_cast<int>(lua_tointeger(L, -1)));
    if (!method) luaL_error(L, "unsupported HTTP method: %d", static_cast<int>(lua_tointeger(L, -1)));
    plan.method = *method;
    plan.method_text = http::method_name(*method);
  }
  lua_pop(L, 1);
}

// A body of its own, or the parent's, where that was read.
void read_body_option(lua_State* L, int options, Request& parent, http::SubrequestPlan& plan) {
  bool forwards = plan.method == http::Method::post || plan.method == http::Method::put;
  if (options) {
    lua_getfield(L, options, "body");
    if (!lua_isnil(L, -1)) {
      if (!lua_isstring(L, -1)) luaL_error(L, "Bad http request body");
      std::string_view text = parent.arena().copy(check_text(L, -1));
      plan.body = parent.arena().make<http::BytesBody>(Slice(text));
      plan.body_bytes = text.size();
    }
    lua_pop(L, 1);
    lua_getfield(L, options, "always_forward_body");
    forwards = forwards || lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  bool has_none = !parent.head.framing.chunked && parent.head.framing.content_length == http::no_length;
  if (plan.body || !forwards || !parent.spooled_body || has_none) return;
  plan.body = parent.arena().make<http::ChunksBody>(parent.spooled_body->kept());
  plan.body_bytes = plan.body->size().value_or(0);
}

void check_ctx(lua_State* L, int options) {
  lua_getfield(L, options, "ctx");
  if (!lua_isnil(L, -1) && !lua_istable(L, -1))
    luaL_error(L, "Bad ctx option value type %s, expected a Lua table", luaL_typename(L, -1));
  lua_pop(L, 1);
}

// The options, if any, of the subrequest that is asked for as the `number`-th.
void check_options(lua_State* L, int options, int number) {
  if (lua_isnil(L, options) || lua_istable(L, options)) return;
  luaL_error(L, "expecting table as the 2nd argument for subrequest %d, but got %s", number, luaL_typename(L, options));
}

void check_depth(lua_State* L, std::string_view uri) {
  Scope& scope = Scope::current();
  if (!http::is_nested_too_deeply(*scope.request)) return;
  scope.logger.error("lua subrequests cycle while processing \"{}\"", uri);
  luaL_error(L, "failed to issue subrequest: -1");
}

// The subrequest of the URI at `at` and the options at `at + 1`.
Asked* read_asked(lua_State* L, int at) {
  Request& parent = *Scope::current().request;
  std::string_view uri = check_text(L, at);
  auto target = http::parse_subrequest_target(uri, parent.arena());
  if (!target) luaL_error(L, "unsafe uri in argument #1: %s", uri.data());
  Asked* asked = parent.arena().make<Asked>();
  asked->plan.uri = parent.arena().copy(target->uri);
  if (target->args.data()) asked->plan.args = copy_or_empty(parent.arena(), target->args);
  asked->plan.shares_variables = false;
  asked->plan.response_bytes_max = UINT64_MAX;
  asked->plan.makes_pages = false;  // the script sees the status
  asked->plan.ends_with_client = false;  // whether the script does is its own matter
  int options = lua_istable(L, at + 1) ? at + 1 : 0;
  if (options) {
    read_method(L, options, asked->plan);
    read_args(L, options, parent, asked->plan);
    check_ctx(L, options);
    read_vars(L, options, parent, *asked);
    asked->plan.shares_variables = read_flag(L, options, "share_all_vars");
    asked->copies_vars = read_flag(L, options, "copy_all_vars");
  }
  read_body_option(L, options, parent, asked->plan);
  check_depth(L, asked->plan.uri);
  return asked;
}

// The table that becomes the child's ngx.ctx, of the options at `options`; last of all, since it is lost if an error follows.
void take_ctx(lua_State* L, int options, Asked& asked) {
  if (!lua_istable(L, options)) return;
  lua_getfield(L, options, "ctx");
  if (lua_istable(L, -1)) asked.ctx_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  else lua_pop(L, 1);
}

int capture(lua_State* L) {
  Scope& scope = allowed_scope(L, output_hooks);
  scope.run->check_driven(L);
  check_count(L, 1, 2, "expecting one or two arguments");
  lua_settop(L, 2);
  if (lua_isnil(L, 1)) return luaL_error(L, "query argument 0 expecting one or two arguments");
  check_options(L, 2, 0);
  Asked* asked = read_asked(L, 1);
  take_ctx(L, 2, *asked);
  Run& run = *scope.run;
  return run.wait_for(L, [&] { return wait_captured(run, L, asked); });
}

int capture_multi(lua_State* L) {
  Scope& scope = allowed_scope(L, output_hooks);
  scope.run->check_driven(L);
  check_count(L, 1, 1, "only one argument is expected, but got %d");
  luaL_checktype(L, 1, LUA_TTABLE);
  int count = static_cast<int>(lua_objlen(L, 1));
  if (count == 0) return luaL_error(L, "at least one subrequest should be specified");
  int taken = 0;
  Asked* first = nullptr;
  Asked** last = &first;
  for (int i = 1; i <= count; ++i) {
    lua_settop(L, 1);
    lua_rawgeti(L, 1, i);
    if (!lua_istable(L, 2)) return luaL_error(L, "the query argument %d is not a table, but a %s", i - 1, luaL_typename(L, 2));
    size_t arguments = lua_objlen(L, 2);
    if (arguments != 1 && arguments != 2) return luaL_error(L, "query argument %d expecting one or two arguments", i - 1);
    lua_rawgeti(L, 2, 1);
    lua_rawgeti(L, 2, 2);
    check_options(L, 4, i - 1);
    *last = read_asked(L, 3);
    last = &(*last)->next;
  }
  lua_settop(L, 1);
  for (Asked* asked = first; asked; asked = asked->next) {
    lua_rawgeti(L, 1, ++taken);
    if (lua_istable(L, 2)) {  // a metamethod of the options may have changed it
      lua_rawgeti(L, 2, 2);
      take_ctx(L, 3, *asked);
    }
    lua_settop(L, 1);
  }
  Run& run = *scope.run;
  return run.wait_for(L, [&] { return wait_captured(run, L, first); });
}

constexpr luaL_Reg functions[] = {{"capture", capture}, {"capture_multi", capture_multi}, {nullptr, nullptr}};

}  // namespace

void add_capture(lua_State* L) {
  lua_createtable(L, 0, 2);
  set_functions(L, functions);
  lua_setfield(L, -2, "location");
}

}  // namespace fairlead::lua
