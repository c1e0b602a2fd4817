// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The stack of the process, or of the thread, that Lua runs on. Lua's own stack has an end that is
// an error; but a C function of the library that calls Lua (string.gsub) takes some 10 KB of this
// one, whose end is a crash. Lua's own has room for 11,000 of them in each other, and each
// coroutine has one.
#pragma once

#include <lua.hpp>

namespace fairlead::lua {

// Lets the stack of this process, as it grows, become larger than the usual 8 MB, as far as the
// hard limit allows.
void raise_stack_limit();
// There is room for what goes as deep as the stack of one coroutine without asking again.
bool has_stack_room();
// Behind the libraries: the functions of theirs that take much of it look first.
void guard_stack(lua_State* L);

}  // namespace fairlead::lua
