// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.req without its body and arguments: the method, the URI, the fields.
#include <algorithm>
#include <array>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "http/h1/parse.h"
#include "http/message/authority.h"
#include "http/message/headers.h"
#include "http/request/field_variables.h"
#include "http/request/request.h"
#include "modules/lua/api.h"
#include "modules/lua/field_table.h"
#include "modules/lua/method_number.h"
#include "modules/lua/run.h"

namespace fairlead::lua {
namespace {

using http::Headers;
using http::KnownHeader;
using http::Request;

int get_method(lua_State* L) {
  Request& request = request_of(L);
  push_text(L, request.method_text);
  return 1;
}

int set_method(lua_State* L) {
  Request& request = request_of(L);
  if (lua_type(L, 1) != LUA_TNUMBER) return luaL_error(L, "bad method number");
  double number = lua_tonumber(L, 1);
  bool is_bit = number >= 0 && number < 1 << 30 && static_cast<int>(number) == number;
  auto method = is_bit ? method_of_number(static_cast<int>(number)) : std::nullopt;
  if (!method) return luaL_error(L, "unsupported HTTP method: %s", lua_tostring(L, 1));
  request.method = *method;
  request.method_text = http::method_name(*method);
  return 0;
}

int get_headers(lua_State* L) {
  Request& request = request_of(L);
  int most = static_cast<int>(luaL_optinteger(L, 1, 100));
  bool raw = lua_toboolean(L, 2);
  const Headers& headers = request.head.headers;
  FieldNames names(L, raw && request.head.version_major < 2);  // RFC 9113 section 8.2: they came in lower case
  lua_createtable(L, 0, static_cast<int>(headers.size()));
  RepeatTable table(L, most);
  for (const Headers::Field& field : headers) {
    names.push(field.known, field.name);
    push_text(L, field.value);
    bool is_first = field.known != KnownHeader::other && headers.find(field.known) == &field;
    if (!(is_first ? table.add_first() : table.add())) break;
  }
  if (!raw) set_fields_metatable(L);
  if (!table.is_truncated()) return 1;
  lua_pushliteral(L, "truncated");
  return 2;
}

void edit_framing(http::RequestHead& head, KnownHeader known, std::string_view value, Arena& arena) {
  if (known == KnownHeader::content_length) {
    auto bytes = parse_decimal(value);
    head.framing.content_length = bytes ? static_cast<int64_t>(*bytes) : http::no_length;
  }
  if (known == KnownHeader::host) {
    auto authority = http::parse_authority(value, arena);
    head.host = authority ? authority->host : std::string_view();
  }
}

// What a request has once: another one takes its place. Two of these would mean two things to two
// readers.
bool is_single(KnownHeader known) {
  constexpr http::KnownHeaderSet singles(KnownHeader::host, KnownHeader::content_length, KnownHeader::content_type,
                                         KnownHeader::transfer_encoding, KnownHeader::user_agent, KnownHeader::referer,
                                         KnownHeader::authorization, KnownHeader::if_modified_since, KnownHeader::range,
                                         KnownHeader::expect, KnownHeader::upgrade);
  return singles.holds(known);
}

void remove_field(http::RequestHead& head, KnownHeader known, std::string_view name) {
  head.headers.remove(name);
  if (known == KnownHeader::content_length) head.framing.content_length = http::no_length;
  if (known == KnownHeader::host) head.host = {};
}

// Takes the place of the first field of that name, which keeps its spelling, and of all others; an
// empty value removes them.
void replace_field(Request& request, KnownHeader known, std::string_view name, std::string_view value) {
  http::RequestHead& head = request.head;
  if (value.empty()) return remove_field(head, known, name);
  value = safe_value(request.arena(), value);
  const Headers::Field* field = head.headers.find(name);
  head.headers.set(field ? field->name : name, value);
  edit_framing(head, known, value, request.arena());
}

// Empty values add nothing.
void add_field(Request& request, KnownHeader known, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  if (is_single(known)) return replace_field(request, known, name, value);
  request.head.headers.add(known, name, safe_value(request.arena(), value));
}

// Of the fields that the request is framed and led by: what a client could not send, either. Empty:
// the field is removed.
bool is_good_value(KnownHeader known, std::string_view value, Arena& arena) {
  if (value.empty()) return true;
  if (known == KnownHeader::host) return http::parse_authority(value, arena).has_value();
  auto bytes = parse_decimal(value);
  return bytes && *bytes <= INT64_MAX;
}

// Raises before anything was changed, so that a script that goes on has the length, or host, that
// there was.
void check_values(lua_State* L, KnownHeader known, const char* name) {
  Arena& arena = request_of(L).arena();
  bool good = true;
  if (lua_istable(L, 2)) {
    for (int i = 1, count = static_cast<int>(lua_objlen(L, 2)); good && i <= count; ++i) {
      lua_rawgeti(L, 2, i);
      good = is_good_value(known, to_text(L, -1), arena);
      lua_pop(L, 1);
    }
  } else if (!lua_isnil(L, 2)) {
    good = is_good_value(known, to_text(L, 2), arena);
  }
  if (!good) luaL_error(L, "failed to set header %s (error: -1)", name);
}

// Of the name at 1 and the value, or array of values, at 2.
int set_field(lua_State* L, bool keeps) {
  Scope& scope = request_scope(L);
  Request& request = *scope.request;
  lua_settop(L, 2);
  if (lua_isnil(L, 1)) return luaL_error(L, "bad 'name' argument: string expected, got nil");
  std::string_view spelled = to_text(L, 1);
  if (spelled.empty()) return 0;
  KnownHeader known = http::find_known_header(spelled);
  if (known == KnownHeader::content_length || known == KnownHeader::host) check_values(L, known, spelled.data());
  std::string_view name = safe_name(request.arena(), spelled);  // one that is no token is none that is known
  bool is_array = lua_istable(L, 2);
  int count = is_array ? static_cast<int>(lua_objlen(L, 2)) : lua_isnil(L, 2) ? 0 : 1;
  if (count == 0 && !keeps) remove_field(request.head, known, name);
  for (int i = 1; i <= count; ++i) {
    if (is_array) lua_rawgeti(L, 2, i);
    else lua_pushvalue(L, 2);
    std::string_view value = to_text(L, -1);
    if (i == 1 && !keeps) replace_field(request, known, name, value);
    else add_field(request, known, name, value);
    lua_pop(L, 1);
  }
  forget_field(request, name);
  return 0;
}

int set_header(lua_State* L) { return set_field(L, false); }

int add_header(lua_State* L) {
  lua_settop(L, 2);
  if (!lua_isnil(L, 1) && lua_isnil(L, 2)) return luaL_error(L, "bad 'value' argument: string or table expected, got nil");
  if (lua_istable(L, 2) && lua_objlen(L, 2) == 0) return luaL_error(L, "bad 'value' argument: non-empty table expected");
  return set_field(L, true);
}

// A name that is none is the name of no field.
int clear_header(lua_State* L) {
  lua_settop(L, 1);
  to_text(L, 1);
  return set_field(L, false);
}

constexpr HookSet jump_hooks(Hook::server_rewrite, Hook::rewrite);

bool is_control(char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f; }

// Two digits and the end of a text.
std::array<char, 3> hex_of(char byte) {
  constexpr char digits[] = "0123456789abcdef";
  return {digits[static_cast<unsigned char>(byte) >> 4], digits[byte & 15], '\0'};
}

// As messages show a URI: what cannot be seen as \xXX.
void append_visible(std::string& to, std::string_view uri) {
  to.clear();
  for (char byte : uri) {
    if (is_control(byte)) to.append("\\x").append(hex_of(byte).data());
    else to += byte;
  }
}

int set_uri(lua_State* L) {
  Scope& scope = request_scope(L);
  check_count(L, 1, 3, "expecting 1, 2 or 3 arguments but seen %d");
  Request& request = *scope.request;
  std::string_view uri = check_text(L, 1);
  for (int i = 2; i <= lua_gettop(L); ++i) luaL_checktype(L, i, LUA_TBOOLEAN);
  bool jump = lua_toboolean(L, 2), binary = lua_toboolean(L, 3);
  if (uri.empty()) return luaL_error(L, "attempt to use zero-length uri");
  auto unsafe = std::find_if(uri.begin(), uri.end(), is_control);
  if (!binary && unsafe != uri.end()) {
    append_visible(scope.vm.text, uri);
    return luaL_error(L, "unsafe byte \"%s\" in uri \"%s\" (maybe you want to set the 'binary' argument?)",
                      lua_pushfstring(L, "0x%s", hex_of(*unsafe).data()), scope.vm.text.c_str());
  }
  if (jump && !jump_hooks.has(scope.hook)) return luaL_error(L, "API disabled in the context of %s", hook_name(scope.hook));
  request.uri = request.arena().copy(uri);
  request.uri_changed = request.is_internal = true;
  if (!jump) {
    request.left_location = true;
    return 0;
  }
  return scope.run->end(L, Ending{Ending::Kind::located, 0, {}, {}});
}

int raw_header(lua_State* L) {
  const http::RequestHead& head = request_of(L).head;
  if (head.version_major >= 2) return luaL_error(L, "http%d requests not supported yet", head.version_major);
  std::string_view received = http::h1::received_head(head);
  if (lua_toboolean(L, 1)) received.remove_prefix(std::min(received.find('\n'), received.size() - 1) + 1);
  push_text(L, received);
  return 1;
}

int http_version(lua_State* L) {
  const http::RequestHead& head = request_of(L).head;
  if (head.version_major == 0) lua_pushnumber(L, 0.9);
  else lua_pushnumber(L, head.version_major + head.version_minor / 10.0);
  return 1;
}

int start_time(lua_State* L) {
  Request& request = request_of(L);
  int64_t ago_ms = static_cast<int64_t>(request.loop().now_ms() - request.started_ms);
  lua_pushnumber(L, static_cast<double>(process_clock.wall_ms() - ago_ms) / 1000);
  return 1;
}

int is_internal(lua_State* L) {
  lua_pushboolean(L, request_of(L).is_internal);
  return 1;
}

constexpr luaL_Reg functions[] = {
    {"get_method", get_method}, {"set_method", set_method},     {"get_headers", get_headers}, {"set_header", set_header},
    {"_add_header", add_header}, {"clear_header", clear_header}, {"set_uri", set_uri},         {"raw_header", raw_header},
    {"http_version", http_version}, {"start_time", start_time}, {"is_internal", is_internal}, {nullptr, nullptr},
};

}  // namespace

void add_request(lua_State* L) {
  lua_createtable(L, 0, 32);
  set_functions(L, functions);
  lua_setfield(L, -2, "req");
}

}  // namespace fairlead::lua
