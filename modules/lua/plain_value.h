// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PlainValue: nil, a boolean, a number, a text, a bare pointer (ngx.null) or a table of such, outside of any machine: what passes from one
// machine to another. On the heap; belongs to one thread at a time.
#pragma once

#include <lua.hpp>

#include <string>
#include <variant>
#include <vector>

namespace fairlead::lua {

class PlainValue {
 public:
  // Takes the value at `index`. False: `wrong` says what cannot be taken. Raises nothing.
  bool read(lua_State* L, int index, std::string& wrong) { return read_at(L, index < 0 ? lua_gettop(L) + index + 1 : index, 0, wrong); }
  // Raises for want of memory.
  void push(lua_State* L) const;

 private:
  // Keys and values in turn.
  using Entries = std::vector<PlainValue>;
  bool read_at(lua_State* L, int index, int depth, std::string& wrong);
  bool read_table(lua_State* L, int index, int depth, std::string& wrong);
  std::variant<std::monostate, bool, double, void*, std::string, Entries> value_;
};

}  // namespace fairlead::lua
