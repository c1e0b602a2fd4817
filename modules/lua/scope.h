// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Scope: on whose behalf Lua is running now. One lies on the stack of whoever enters Lua; they nest (a script prints, its head
// filter runs).
// The functions of the API find it through current(), and say here where they may be called. Also the few conversions every function of the
// API needs.
//
// The functions of the API are entered from Lua and may leave by a Lua error, which runs no destructor: while one can be raised they hold
// nothing that owns memory. Texts are built in Vm::text.
#pragma once

#include <lua.hpp>

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/arena.h"
#include "core/base/log.h"
#include "modules/lua/hook.h"
#include "modules/lua/memory_limit.h"
#include "modules/lua/run_limit.h"

namespace fairlead {
class Worker;
struct TlsHandshake;
namespace http { class Request; }
}  // namespace fairlead

namespace fairlead::lua {

class Run;
class Vm;

class Scope {
 public:
  Scope(Vm& of_vm, Hook in_hook, http::Request* of_request, Logger with_logger, Run* of_run = nullptr);
  ~Scope() {
    if (ctx_ref != LUA_NOREF) drop_ctx();
    current_ = before_;
    if (!before_) give_texts_back();
    if (is_limited()) RunLimit::leave();
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  static Scope& current() { return *current_; }
  static bool is_inside() { return current_ != nullptr; }

  Vm& vm;
  const Hook hook;
  http::Request* const request;  // nullptr in init, init_worker, exit_worker and timers
  Run* const run;                // nullptr where a script must not wait
  Logger logger;
  // What ngx.exit() asked for in a hook that goes on after it; -1000: nothing.
  static constexpr int no_exit = -1000;
  int exit_code = no_exit;
  // Of set_by_lua and body_filter_by_lua: what ngx.arg gives and takes. The hook that opened the scope fills them.
  int arg_ref = LUA_NOREF;
  int ctx_ref = LUA_NOREF;  // ngx.ctx of a hook that has neither request nor run
  TlsHandshake* handshake = nullptr;  // of ssl_*_by_lua and proxy_ssl_*_by_lua

  // What sockets made here belong to: the request, else the run (of a timer).
  const void* owner() const { return request ? static_cast<const void*>(request) : static_cast<const void*>(run); }

 private:
  void drop_ctx();
  void give_texts_back();
  // The outermost one on the loop's thread; other threads have a limit of their own (thread_machine.h).
  bool is_limited() const { return !before_ && hook != Hook::worker_thread; }
  Scope* before_;
  MemoryLimit unlimited_{false};
  static inline constinit thread_local Scope* current_ = nullptr;
};

// Raise an error unless there is a request; unless there is one or a handshake with a client (whose connection `request` names then, and
// means nothing else); unless the hook is one of `where`.
Scope& request_scope(lua_State* L);
Scope& client_scope(lua_State* L);
Scope& allowed_scope(lua_State* L, HookSet where);
http::Request& request_of(lua_State* L);
// Raises unless the script may wait here.
Run& waiting_run(lua_State* L);

// A text argument (a number counts as one); raises like luaL_checklstring.
inline std::string_view check_text(lua_State* L, int index) {
  size_t bytes;
  const char* text = luaL_checklstring(L, index, &bytes);
  return {text, bytes};
}
// As above, nil counts as empty.
std::string_view check_text_or_nil(lua_State* L, int index);
// Any value as tostring() shows it; the text takes the value's place on the stack.
std::string_view to_text(lua_State* L, int index);
// Raises the message, in which %d stands for the number of arguments, unless that lies between the two.
void check_count(lua_State* L, int least, int most, const char* message);
// A copy that is there (data()) also where the text is empty: a value that was set is not missing.
inline std::string_view copy_or_empty(Arena& arena, std::string_view text) {
  return text.empty() ? std::string_view("") : arena.copy(text);
}
inline void push_text(lua_State* L, std::string_view text) { lua_pushlstring(L, text.data(), text.size()); }
// The same for a text that lies where others are built, too: pushing may collect, and a finalizer may build one there meanwhile. It is
// there again afterwards.
void push_text(lua_State* L, std::string& text);
// Texts that are kept for their room keep so much of it at most.
constexpr size_t kept_text_bytes_max = 1 << 20;
inline void give_back(std::string& text) {
  if (text.capacity() > kept_text_bytes_max) std::string().swap(text);
}
// nil and the text: what a function that failed gives.
int push_failure(lua_State* L, std::string_view text);
// A number as Lua shows it: "%.14g".
void append_number(std::string& to, double number);
// Seconds as scripts give them, in milliseconds. What is no number, or below zero, gives 0; what is
// longer than any clock runs, a time that may still be added to a clock's.
inline uint64_t to_ms(double seconds) {
  constexpr double seconds_max = 1e12;
  if (!(seconds > 0)) return 0;
  return static_cast<uint64_t>(std::llround(std::fmin(seconds, seconds_max) * 1000));
}
// The length of an array at a positive index, or -1 for a table with other keys.
int array_length(lua_State* L, int index);
// Text of strings, numbers, booleans, nil, ngx.null and nested arrays of these, as ngx.print writes them. False: `type` of the first thing
// that has none.
bool append_value(lua_State* L, int index, std::string& to, const char*& bad);

// For the metatable on top, with its __index set: scripts that ask for it see that alone. Its __gc is not theirs to call.
void hide_metatable(lua_State* L);
// Sets the functions into the table on top.
void set_functions(lua_State* L, const luaL_Reg* functions);

}  // namespace fairlead::lua
