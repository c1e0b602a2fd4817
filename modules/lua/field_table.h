// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Tables of names and values where a name may repeat: header fields, arguments. A repeated one becomes an array.
#pragma once

#include <lua.hpp>

#include <string_view>

#include "core/base/arena.h"

namespace fairlead::lua {

// Fills the table on top of the stack.
class RepeatTable {
 public:
  // `most`: values that are taken; 0: all.
  RepeatTable(lua_State* L, int most) : L_(L), left_(most > 0 ? most : -1) {}
  // Name and value stand on top of the stack, above the table, and are taken from it. False: there was no room for them any more.
  bool add();
  bool is_truncated() const { return truncated_; }

 private:
  lua_State* L_;
  int left_;
  bool truncated_ = false;
};

// As they may go into a head, in the arena: other bytes of a name than those of a token, and control characters of a value, which could
// end the field, are written as %XX.
std::string_view safe_name(Arena& arena, std::string_view name);
std::string_view safe_value(Arena& arena, std::string_view value);

// Pushes a name of a field as scripts see it: in lower case unless `raw`.
void push_field_name(lua_State* L, std::string_view name, bool raw);

}  // namespace fairlead::lua
