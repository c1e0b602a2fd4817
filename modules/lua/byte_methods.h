// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The methods of scripts that every ByteSocket has: reading by patterns, writing, times.
#pragma once

#include "modules/lua/byte_socket.h"
#include "modules/lua/socket_object.h"

namespace fairlead::lua {

// nullptr: nothing stands against using it; else why not.
const char* why_not(const ByteSocket& socket, bool must_be_open);
// The same of what wants the whole socket, and no other thread at work on it.
const char* why_busy(const ByteSocket& socket);

namespace byte_methods {

// The calls behind the rows below; the socket is the first argument.
int receive(lua_State* L, ByteSocket& socket);
int receive_any(lua_State* L, ByteSocket& socket);
int receive_until(lua_State* L, lua_CFunction next);
// The iterator: the socket, the pattern, whether it is inclusive and the state are its upvalues. `begin` puts the socket first.
int receive_next(lua_State* L, ByteSocket& socket);
int send(lua_State* L, ByteSocket& socket);
int set_timeout(lua_State* L, ByteSocket& socket);
int set_timeouts(lua_State* L, ByteSocket& socket);

template <class Socket, int (*Call)(lua_State*, ByteSocket&)>
int of(lua_State* L) { return Call(L, check_socket<Socket>(L)); }

template <class Socket>
int next_of(lua_State* L) {
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  return receive_next(L, check_socket<Socket>(L));
}
template <class Socket>
int until_of(lua_State* L) {
  check_socket<Socket>(L);
  return receive_until(L, &next_of<Socket>);
}

}  // namespace byte_methods

template <class Socket>
constexpr luaL_Reg read_methods[] = {
    {"receive", byte_methods::of<Socket, byte_methods::receive>},
    {"receiveany", byte_methods::of<Socket, byte_methods::receive_any>},
    {"receiveuntil", byte_methods::until_of<Socket>},
    {"settimeout", byte_methods::of<Socket, byte_methods::set_timeout>},
    {"settimeouts", byte_methods::of<Socket, byte_methods::set_timeouts>},
    {nullptr, nullptr},
};
template <class Socket>
constexpr luaL_Reg write_methods[] = {{"send", byte_methods::of<Socket, byte_methods::send>}, {nullptr, nullptr}};

}  // namespace fairlead::lua
