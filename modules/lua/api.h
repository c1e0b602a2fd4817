// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The parts of the API. Each function adds its part to the table `ngx`, which lies on top of the stack, and leaves the stack as it was.
// Called once per machine, protected.
#pragma once

#include <lua.hpp>

namespace fairlead {
class Clock;
}

namespace fairlead::lua {

class Vm;

// Makes `ngx`, all of it, and the modules that scripts may require.
void open_api(lua_State* L, Vm& vm);
// Makes the part of it that functions on other threads have (thread_machine.h).
void open_thread_api(lua_State* L, Vm& vm);

void add_output(lua_State* L);     // say, print, flush, exit, exec, redirect, status, headers_sent, ...
void add_log(lua_State* L);        // log, print
void add_variables(lua_State* L);  // var, ctx, arg
void add_phase(lua_State* L);      // get_phase
void add_response(lua_State* L);   // header, resp
void add_request(lua_State* L);    // req: method, URI, fields, ...
void add_body(lua_State* L);       // req: the body
void add_arguments(lua_State* L);  // req: query and form; encode_args, decode_args
void add_text(lua_State* L);       // escaping, base64, digests
void add_time(lua_State* L);
void add_regex(lua_State* L);
void add_shared(lua_State* L, Vm& vm);
void add_threads(lua_State* L);    // thread, coroutine, sleep, semaphores
void add_timers(lua_State* L);
void add_worker_thread(lua_State* L);
void add_balancer(lua_State* L);   // what require "ngx.balancer" gives
void add_sockets(lua_State* L);    // socket: TCP
extern const luaL_Reg socket_option_methods[];  // of TCP sockets: what is set on one, and asked of it
void add_request_socket(lua_State* L);  // req.socket, behind add_body()
void add_capture(lua_State* L);    // location
void add_tls(lua_State* L);        // what require "ngx.ssl" and the like give
void add_udp(lua_State* L);        // socket.udp, behind add_sockets()
void add_pipe(lua_State* L);       // what require "ngx.pipe" gives
void add_errlog(lua_State* L);     // what require "ngx.errlog" gives; the next two alike
void add_process(lua_State* L);
void add_upstream(lua_State* L);
void add_worker(lua_State* L, Vm& vm);  // worker, config, constants

// -- shared by parts --

// The clock of this thread: the process's, or one of its own that is updated with each call.
Clock& clock_here();
// For functions that make a table of fields (get_headers): gives it the metatable by which any spelling of a name is found.
void set_fields_metatable(lua_State* L);
// Appends key=value&... of the table at `index`; raises for what cannot be written.
void append_arguments(lua_State* L, int index);
// A query, written or as a table, into Vm::text. Raises for what is neither.
void append_query(lua_State* L, int index);
// Pushes a table of decoded arguments of the text, and "truncated" behind it if there were more than `most`; gives how many values.
int push_arguments(lua_State* L, const char* text, size_t bytes, int most);

}  // namespace fairlead::lua
