// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The fields of the response: ngx.header and ngx.resp. Some stand in the Response itself and not in its list (type, length, date, tag).
#include <algorithm>
#include <cstring>
#include <optional>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "http/message/headers.h"
#include "http/request/content_type.h"
#include "http/request/request.h"
#include "http/request/response.h"
#include "http/request/unsaid_date.h"
#include "modules/lua/api.h"
#include "modules/lua/conf.h"
#include "modules/lua/field_table.h"
#include "modules/lua/output.h"
#include "modules/lua/request_state.h"
#include "modules/lua/scope.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

using http::Headers;
using http::KnownHeader;
using http::Request;

constexpr size_t name_bytes_max = 256;

// A name as the script spells it: `_` means `-` unless that is switched off; then it lies in the caller's room. Empty: too long.
std::string_view field_name(Request& request, std::string_view name, char* room) {
  if (name.size() > name_bytes_max) return {};
  if (name.find('_') == std::string_view::npos || !conf<LuaConf>(request).transform_underscores) return name;
  std::memcpy(room, name.data(), name.size());
  std::replace(room, room + name.size(), '_', '-');
  return {room, name.size()};
}

// Takes the field away wherever it stands.
void clear_field(Request& request, KnownHeader known, std::string_view name) {
  http::Response& response = request.response;
  switch (known) {
    case KnownHeader::content_type:
      response.content_type = {};
      response.content_type_of_reply = {};
      request.slot<RequestState>().no_type = true;
      break;
    case KnownHeader::content_length: response.head.framing.content_length = http::no_length; return;
    case KnownHeader::last_modified: response.last_modified = -1; break;
    case KnownHeader::etag: response.etag = {}; break;
    case KnownHeader::accept_ranges: response.allow_ranges = false; break;
    case KnownHeader::server: response.adds_server = false; break;
    case KnownHeader::date: request.slot<http::UnsaidDate>().is_unsaid = true; break;
    default: break;
  }
  response.head.headers.remove(known, name);
}

// A date that would be written otherwise stays a plain field.
std::optional<int64_t> own_date(std::string_view value) {
  auto seconds = parse_http_date(value);
  if (!seconds) return std::nullopt;
  char text[http_date_size];
  format_http_date(*seconds, text);
  return value == std::string_view(text, sizeof text) ? seconds : std::nullopt;
}

// False: no value for the field. An empty one adds nothing.
bool add_field(Request& request, KnownHeader known, std::string_view name, std::string_view value) {
  http::Response& response = request.response;
  if (value.empty()) return true;
  value = safe_value(request.arena(), value);
  switch (known) {
    case KnownHeader::content_type:
      response.content_type = response.content_type_of_reply = value;
      request.slot<RequestState>().no_type = false;
      return true;
    case KnownHeader::content_length: {
      auto bytes = parse_decimal(value);
      if (bytes) response.head.framing.content_length = static_cast<int64_t>(*bytes);
      return bytes.has_value();
    }
    // The validators, against which conditional requests are judged.
    case KnownHeader::etag: response.etag = value; return true;
    case KnownHeader::last_modified:
      if (auto seconds = own_date(value)) {
        response.last_modified = *seconds;
        return true;
      }
      break;
    case KnownHeader::location: response.foreign_location = true; break;
    default: break;
  }
  response.head.headers.add(known, safe_name(request.arena(), name), value);  // a name that is no token is none that is known
  return true;
}

bool is_committed(Request& request) {
  Output* output = request.slot<RequestState>().output;
  return (output && output->is_committed()) || request.exchange.head_sent();
}

// Several lines of one of these make no sense: the last value of an array counts.
bool is_single(KnownHeader known) {
  constexpr http::KnownHeaderSet singles(KnownHeader::content_type, KnownHeader::content_length, KnownHeader::location,
                                         KnownHeader::last_modified, KnownHeader::etag, KnownHeader::server, KnownHeader::date,
                                         KnownHeader::expires, KnownHeader::refresh, KnownHeader::accept_ranges,
                                         KnownHeader::content_encoding, KnownHeader::content_range);
  return singles.holds(known);
}

int set_field(lua_State* L, std::string_view spelled, int value_index, bool keeps) {
  Scope& scope = request_scope(L);
  Request& request = *scope.request;
  if (is_committed(request)) {
    scope.logger.error("attempt to set ngx.header.HEADER after sending out response headers");
    return 0;
  }
  char room[name_bytes_max];
  std::string_view name = field_name(request, spelled, room);
  if (name.empty()) return 0;
  KnownHeader known = http::find_known_header(name);
  if (!keeps) clear_field(request, known, name);
  if (lua_isnil(L, value_index)) return 0;
  if (!lua_istable(L, value_index)) {
    if (!add_field(request, known, name, to_text(L, value_index))) return luaL_error(L, "failed to set header");
    return 0;
  }
  int count = static_cast<int>(lua_objlen(L, value_index));
  for (int i = is_single(known) && count > 0 ? count : 1; i <= count; ++i) {
    lua_rawgeti(L, value_index, i);
    if (!add_field(request, known, name, to_text(L, -1))) return luaL_error(L, "failed to set header");
    lua_pop(L, 1);
  }
  return 0;
}

int set_header(lua_State* L) {
  lua_settop(L, 3);
  return set_field(L, check_text(L, 2), 3, false);
}

int add_header(lua_State* L) {
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return luaL_error(L, "invalid header value");
  return set_field(L, check_text(L, 1), 2, true);
}

// A field that does not stand in the list; true if it was pushed.
bool push_own_field(lua_State* L, Request& request, KnownHeader known) {
  const http::Response& response = request.response;
  char date[http_date_size];
  switch (known) {
    case KnownHeader::content_type:
      if (!response.content_type.empty()) push_text(L, response.content_type);
      else if (response.head.headers.has(known) || request.slot<RequestState>().no_type) return false;
      else push_text(L, http::content_type_of(request));
      return true;
    case KnownHeader::content_length:
      if (response.head.framing.content_length == http::no_length) return false;
      push_text(L, format("{}", response.head.framing.content_length));
      return true;
    case KnownHeader::last_modified:
      if (response.last_modified < 0) return false;
      format_http_date(response.last_modified, date);
      push_text(L, {date, sizeof date});
      return true;
    case KnownHeader::etag:
      if (response.etag.empty()) return false;
      push_text(L, response.etag);
      return true;
    default: return false;
  }
}

// What the engine says of the connection and the framing, as far as it is decided; true if it was pushed.
bool push_framing_field(lua_State* L, Request& request, KnownHeader known) {
  if (known == KnownHeader::transfer_encoding) {
    if (!is_committed(request) || !http::is_chunked(request)) return false;
    lua_pushliteral(L, "chunked");
    return true;
  }
  if (known != KnownHeader::connection) return false;
  Value value = read_variable(request, Scope::current().vm.variable("sent_http_connection"));
  if (!value.found) return false;
  push_text(L, value.text);
  return true;
}

int get_header(lua_State* L) {
  Request& request = request_of(L);
  char room[name_bytes_max];
  std::string_view name = field_name(request, check_text(L, 2), room);
  if (push_own_field(L, request, http::find_known_header(name))) return 1;
  const Headers& headers = request.response.head.headers;
  const Headers::Field* field = headers.find(name);
  if (!field) return 0;
  const Headers::Field* next = headers.next_same(*field);
  if (!next) {
    push_text(L, field->value);
    return 1;
  }
  lua_createtable(L, 2, 0);
  for (int i = 1; field; field = headers.next_same(*field)) {
    push_text(L, field->value);
    lua_rawseti(L, -2, i++);
  }
  return 1;
}

int get_headers(lua_State* L) {
  Request& request = request_of(L);
  int most = static_cast<int>(luaL_optinteger(L, 1, 100));
  bool raw = lua_toboolean(L, 2);
  FieldNames names(L, raw);
  lua_newtable(L);
  RepeatTable table(L, most);
  for (KnownHeader own : {KnownHeader::content_type, KnownHeader::content_length, KnownHeader::last_modified, KnownHeader::etag,
                          KnownHeader::connection, KnownHeader::transfer_encoding}) {
    names.push(own, http::header_name(own));
    if (push_own_field(L, request, own) || push_framing_field(L, request, own)) table.add();
    else lua_pop(L, 1);
  }
  for (const Headers::Field& field : request.response.head.headers) {
    bool doubled = field.known == KnownHeader::content_type && !request.response.content_type.empty();
    if (doubled) continue;
    names.push(field.known, field.name);
    push_text(L, field.value);
    if (!table.add()) break;
  }
  if (!raw) set_fields_metatable(L);
  if (!table.is_truncated()) return 1;
  lua_pushliteral(L, "truncated");
  return 2;
}

}  // namespace

void add_response(lua_State* L) {
  lua_createtable(L, 0, 0);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, get_header);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, set_header);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "header");
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, get_headers);
  lua_setfield(L, -2, "get_headers");
  lua_pushcfunction(L, add_header);
  lua_setfield(L, -2, "_add_header");
  lua_setfield(L, -2, "resp");
}

}  // namespace fairlead::lua
