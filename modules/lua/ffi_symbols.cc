// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Functions that libraries written for OpenResty look up by name (ffi.C) in the program itself: lua-resty-string, and what stands on it.
// The linker exports them, and nothing else, by exported_symbols.list.
#include <cstddef>
#include <cstdint>

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

namespace fairlead::lua {

void keep_exported_symbols() {}

}  // namespace fairlead::lua
