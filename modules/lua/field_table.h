// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Tables of names and values where a name may repeat: header fields, arguments. A repeated one becomes an array.
#pragma once

#include <lua.hpp>

#include <string_view>

#include "core/base/arena.h"
#include "http/message/known_header.h"

namespace fairlead::lua {

// Fills the table on top of the stack.
class RepeatTable {
 public:
  // `most`: values that are taken; 0: all.
  RepeatTable(lua_State* L, int most) : L_(L), left_(most > 0 ? most : -1) {}
  // Name and value stand on top of the stack, above the table, and are taken from it. False: there was no room for them any more.
  bool add();
  // The same where the table has nothing of that name yet.
  bool add_first();
  bool is_truncated() const { return truncated_; }

 private:
  bool take_room();
  lua_State* L_;
  int left_;
  bool truncated_ = false;
};

// As they may go into a head, in the arena: other bytes of a name than those of a token, and control characters of a value, which could
// end the field, are written as %XX.
std::string_view safe_name(Arena& arena, std::string_view name);
std::string_view safe_value(Arena& arena, std::string_view value);

// Names of fields as scripts see them: in lower case unless `raw`. Those of known fields are made once per machine and kept in an array,
// which lies on the stack from here on, below what the caller pushes. Nothing else is held: an error of Lua may pass.
class FieldNames {
 public:
  FieldNames(lua_State* L, bool raw);
  // `known` must be that of `name`.
  void push(http::KnownHeader known, std::string_view name);

 private:
  lua_State* L_;
  int kept_ = 0;  // where the array lies; 0: raw, there is none
};

}  // namespace fairlead::lua
