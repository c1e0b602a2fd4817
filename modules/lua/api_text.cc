// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Texts: escaping, base64, digests, SQL quoting.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <iterator>

#include "core/base/encoding.h"
#include "core/base/escape.h"
#include "core/base/hash.h"
#include "modules/lua/api.h"
#include "modules/lua/arguments.h"
#include "modules/lua/scope.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

std::string& scratch() {
  std::string& text = Scope::current().vm.text;
  text.clear();
  return text;
}

int push_scratch(lua_State* L) {
  push_text(L, Scope::current().vm.text);
  return 1;
}

// Any value as a text; nil and false are empty.
std::string_view text_of(lua_State* L, int index) { return lua_toboolean(L, index) ? to_text(L, index) : std::string_view(); }

// The kinds are nginx's: 0 a whole URI (what may stand in one stays), 2 a component of one, ...
int escape_uri(lua_State* L) {
  constexpr void (*kinds[])(std::string&, std::string_view) = {append_uri, append_uri_and_plus, append_component, append_uri_for_html,
                              append_uri_for_refresh, append_memcached_key, append_memcached_key};
  std::string_view text = text_of(L, 1);
  lua_Integer kind = luaL_optinteger(L, 2, 2);
  if (kind < 0 || kind >= static_cast<lua_Integer>(std::size(kinds)))
    return luaL_error(L, "\"type\" %d out of range", static_cast<int>(kind));
  kinds[kind](scratch(), text);
  return push_scratch(L);
}

int unescape_uri(lua_State* L) {
  std::string_view text = text_of(L, 1);
  std::string& to = scratch();
  to.assign(text);
  std::replace(to.begin(), to.end(), '+', ' ');
  to.resize(static_cast<size_t>(unescape_to(to.data(), to, BadPercent::keep) - to.data()));
  return push_scratch(L);
}

int push_base64(lua_State* L, std::string_view text, Base64 alphabet, bool padded) {
  std::string& to = scratch();
  to.resize(base64_size(text.size(), alphabet));
  base64_to(to.data(), text, alphabet);
  while (!padded && to.ends_with('=')) to.pop_back();
  return push_scratch(L);
}

int encode_base64(lua_State* L) {
  if (!lua_isnoneornil(L, 2) && !lua_isboolean(L, 2)) return luaL_error(L, "bad no_padding: boolean expected, got %s", luaL_typename(L, 2));
  bool padded = !lua_toboolean(L, 2);
  return push_base64(L, text_of(L, 1), Base64::standard, padded);
}
int encode_base64url(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) return push_failure(L, "must provide a string");
  return push_base64(L, check_text(L, 1), Base64::url, false);
}

int push_decoded(lua_State* L, std::string_view text, Base64 alphabet) {
  std::string& to = scratch();
  to.resize(base64_decoded_room(text.size()));
  char* end = base64_decode_to(to.data(), text, alphabet);
  if (!end) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushlstring(L, to.data(), static_cast<size_t>(end - to.data()));
  return 1;
}

int decode_base64(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) return luaL_error(L, "string argument only");
  std::string_view text = check_text(L, 1);
  return push_decoded(L, text.substr(0, text.find('=')), Base64::standard);
}
int decode_base64url(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) return push_failure(L, "must provide a string");
  int count = push_decoded(L, check_text(L, 1), Base64::url);
  return lua_isnil(L, -1) ? push_failure(L, "invalid input") : count;
}

// What is no letter of the alphabet is skipped (RFC 2045).
int decode_base64mime(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) return luaL_error(L, "string argument only");
  std::string_view text = check_text(L, 1);
  char* kept = static_cast<char*>(lua_newuserdata(L, text.size() + 1));
  size_t size = 0;
  for (char byte : text) {
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                  byte == '+' || byte == '/';
    if (byte == '=') break;
    if (letter) kept[size++] = byte;
  }
  return push_decoded(L, {kept, size}, Base64::standard);
}

int push_md5(lua_State* L, bool as_hex) {
  Md5 digest = md5(text_of(L, 1));
  std::string_view bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
  if (!as_hex) {
    push_text(L, bytes);
    return 1;
  }
  char text[32];
  hex_to(text, bytes);
  lua_pushlstring(L, text, sizeof text);
  return 1;
}
int md5_hex(lua_State* L) { return push_md5(L, true); }
int md5_bin(lua_State* L) { return push_md5(L, false); }

int sha1_bin(lua_State* L) {
  std::string_view text = text_of(L, 1);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  lua_pushlstring(L, reinterpret_cast<const char*>(digest), size);
  return 1;
}

int hmac_sha1(lua_State* L) {
  check_count(L, 2, 2, "expecting 2 arguments, but got %d");
  std::string_view key = check_text(L, 1);
  std::string_view text = check_text(L, 2);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  auto bytes = reinterpret_cast<const unsigned char*>(text.data());
  HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), bytes, text.size(), digest, &size);
  lua_pushlstring(L, reinterpret_cast<const char*>(digest), size);
  return 1;
}

int crc32_of(lua_State* L) {
  lua_pushnumber(L, crc32(text_of(L, 1)));
  return 1;
}

int quote_sql_str(lua_State* L) {
  check_count(L, 1, 1, "expecting one argument");
  std::string_view text = check_text(L, 1);
  std::string& to = scratch();
  to += '\'';
  for (char byte : text) {
    switch (byte) {
      case '\0': to += "\\0"; break;
      case '\b': to += "\\b"; break;
      case '\n': to += "\\n"; break;
      case '\r': to += "\\r"; break;
      case '\t': to += "\\t"; break;
      case 26: to += "\\Z"; break;
      case '\\': to += "\\\\"; break;
      case '\'': to += "\\'"; break;
      case '"': to += "\\\""; break;
      default: to += byte;
    }
  }
  to += '\'';
  return push_scratch(L);
}

constexpr luaL_Reg functions[] = {
    {"escape_uri", escape_uri},       {"unescape_uri", unescape_uri},         {"encode_base64", encode_base64},
    {"decode_base64", decode_base64}, {"_encode_base64url", encode_base64url}, {"_decode_base64url", decode_base64url},
    {"_decode_base64mime", decode_base64mime}, {"md5", md5_hex},              {"md5_bin", md5_bin},
    {"sha1_bin", sha1_bin},           {"hmac_sha1", hmac_sha1},               {"crc32_short", crc32_of},
    {"crc32_long", crc32_of},         {"quote_sql_str", quote_sql_str},       {nullptr, nullptr},
};

}  // namespace

void add_text(lua_State* L) { set_functions(L, functions); }

}  // namespace fairlead::lua
