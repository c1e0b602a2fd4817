// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Functions that libraries written for OpenResty look up by name (ffi.C) in the program itself: lua-resty-string and what stands on it,
// gateways. They are declared there, as nginx's headers have them. The linker exports them, and nothing else, by exported_symbols.list.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "core/base/escape.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "modules/lua/ffi_symbols.h"

#define FL_EXPORTED extern "C" __attribute__((used, visibility("default")))

// `to` has room for twice `count` bytes. Gives the end of what was written.
FL_EXPORTED unsigned char* ngx_hex_dump(unsigned char* to, const unsigned char* from, size_t count) {
  static constexpr char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < count; ++i) {
    *to++ = static_cast<unsigned char>(digits[from[i] >> 4]);
    *to++ = static_cast<unsigned char>(digits[from[i] & 15]);
  }
  return to;
}

// The number that `count` digits say; -1: there are none, others than digits among them, or it is too large.
FL_EXPORTED intptr_t ngx_atoi(const unsigned char* text, size_t count) {
  if (count == 0) return -1;
  intptr_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    if (value > (INTPTR_MAX - (text[i] - '0')) / 10) return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

// Without `to`: how many of the bytes are to be escaped, each as three. Else writes them so; gives the end.
FL_EXPORTED uintptr_t ngx_escape_uri(unsigned char* to, const unsigned char* from, size_t count, uintptr_t type) {
  using fairlead::Escape;
  static constexpr Escape sets[] = {Escape::uri,           Escape::args,      Escape::uri_component, Escape::uri_in_html,
                                    Escape::uri_in_refresh, Escape::memcached, Escape::memcached};
  std::string_view text(reinterpret_cast<const char*>(from), count);
  bool is_known = type < std::size(sets);
  if (!to) return is_known ? (fairlead::escaped_size(sets[type], text) - count) / 2 : 0;
  if (is_known) return reinterpret_cast<uintptr_t>(fairlead::escape_to(sets[type], reinterpret_cast<char*>(to), text));
  std::memcpy(to, from, count);
  return reinterpret_cast<uintptr_t>(to + count);
}

FL_EXPORTED uint32_t ngx_murmur_hash2(const unsigned char* data, size_t count) {
  return fairlead::murmur2({reinterpret_cast<const char*>(data), count});
}

namespace {
struct NgxText {  // ngx_str_t
  size_t size;
  const unsigned char* bytes;
};
}  // namespace

// A time as configurations have it: in seconds if `in_seconds`, else in milliseconds; -1: it is none.
FL_EXPORTED intptr_t ngx_parse_time(const NgxText* text, uintptr_t in_seconds) {
  std::string_view said(reinterpret_cast<const char*>(text->bytes), text->size);
  auto ms = fairlead::parse_time_ms(said, in_seconds ? fairlead::TimeGrain::seconds : fairlead::TimeGrain::milliseconds);
  if (!ms || *ms > INTPTR_MAX) return -1;
  return static_cast<intptr_t>(in_seconds ? *ms / 1000 : *ms);
}

namespace fairlead::lua {

void keep_exported_symbols() {}

}  // namespace fairlead::lua
