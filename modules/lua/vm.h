// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Vm: the Lua machine of one generation. Made in the master, where init_by_lua runs; each worker has it by copy (fork). Compiles scripts,
// keeps coroutines for use again, bounds memory. Owned by the generation's arena; with lua_code_cache off each request has one of its own,
// shared with the timers that it made.
#pragma once

#include <lua.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/base/error.h"
#include "modules/lua/conf.h"
#include "modules/lua/limited_heap.h"
#include "modules/lua/scope.h"

namespace fairlead {
class Block;
class Generation;
class Session;
class Worker;
}  // namespace fairlead

namespace fairlead::lua {

class CapturedLog;
class RegexCache;

// A variable as scripts name it: one with an index (used in the configuration), or a module's that nobody has used.
struct VariableRef {
  const VariableDef* def = nullptr;  // nullptr: `index` holds
  uint32_t index = 0;
  std::string_view rest;  // of a prefix variable's name
  bool exists = true;
};

// What it is worth now.
Value read_variable(Session& session, const VariableRef& ref);

class Vm : public std::enable_shared_from_this<Vm> {
 public:
  enum class Caching : uint8_t { on, off };  // off: scripts are compiled anew each time (lua_code_cache)
  // `http`: the block of that name.
  Vm(Generation& generation, const Block& http, Caching caching = Caching::on);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  enum class Api : uint8_t { whole, thread };  // thread: what functions on other threads have
  // Libraries, the API, the search paths. Once, before anything else.
  ConfResult<Unit> open(Api api = Api::whole);
  // From now on a script of a request that makes a global variable is told so in the log.
  void guard_globals();
  // Ends the machine: all objects of Lua are finalized.
  void close();
  // In a worker, before any script runs in it.
  void enter_worker(Worker& worker) { worker_ = &worker; }
  Worker* worker() const { return worker_; }
  Generation& generation() const { return generation_; }
  const LuaConf& conf() const { return conf_; }
  const Block& http_block() const { return http_; }
  lua_State* main() const { return main_; }

  enum class Loaded : uint8_t { ok, missing, failed };
  // Pushes the script's function on `L`. Otherwise `text` says what is wrong. The path of a file may depend on `session`.
  Loaded push_script(lua_State* L, const Script& script, Session* session);
  // Calls the function below `arguments` values on top of `L`, a traceback added to its error. False: the error's text stands on top.
  bool call(lua_State* L, int arguments, int results);
  // Pushes what an uncaught error's object says: a text, what __tostring gives, or "unknown reason". Raises nothing, whatever that does.
  static void push_reason(lua_State* L, int index);

  // A coroutine with an empty stack, anchored under the reference.
  struct Thread {
    lua_State* L;
    int anchor;
  };
  Thread take_thread();
  // Coroutines that runs drive, waiting or not: nobody else may resume them. Those of take_thread() are held until they are given back.
  void hold(const lua_State* coroutine) { held_.insert(coroutine); }
  void release(const lua_State* coroutine) { held_.erase(coroutine); }
  bool is_held(const lua_State* coroutine) const { return held_.contains(coroutine); }
  // `finished`: it ran to its end and may be used again. Where a script still has it, it is dead, also if it waited.
  void give_thread(Thread thread, bool finished);
  // What is held runs no more: whoever has it finds it dead.
  void give_up(lua_State* coroutine);
  // Whether the coroutine at `index` of L was given up while it waited: Lua itself would resume it.
  bool is_given_up(lua_State* L, int index) const;

  // Pushes an empty table for ngx.arg; gives its reference in the registry. It goes back when the script is over, and serves again.
  int push_arg_table(lua_State* L);
  void give_arg_table(lua_State* L, int ref);

  const VariableRef& variable(std::string_view name);

  RegexCache& regexes() { return *regexes_; }
  // Where texts are built. Cleared by whoever begins one; never kept over a call into Lua that may build another, nor over the end of the
  // outermost Scope: there the room of a big one is given back.
  std::string text;
  // Of push_text() alone: a long text on its way to Lua. Not over its end where memory ran out; the outermost Scope's end mends that.
  std::string handed_over;
  bool hands_over = false;
  // What is being printed: kept while the head is settled, whose filters build texts of their own (and may not print).
  std::string printed;
  // lua_capture_error_log; nullptr: nothing is kept.
  CapturedLog* captured_log = nullptr;
  // Before a script is entered in protected mode, under MemoryLimit; within a Scope.
  void make_room() { heap_.make_room(main_); }

 private:
  template <Api api>
  static int open_protected(lua_State* L);
  void set_paths();
  void set_code_paths(const char* field, std::string_view path);

  Generation& generation_;
  const Block& http_;
  const LuaConf& conf_;
  Worker* worker_ = nullptr;
  lua_State* main_ = nullptr;
  LimitedHeap heap_;  // outlives the machine
  int given_up_ref_ = LUA_NOREF;   // a table: the environment of coroutines that were given up, by which they are known
  int traceback_ref_ = LUA_NOREF;  // a function pushed anew would be garbage of each call
  std::vector<Thread> spare_;
  std::unordered_set<const lua_State*> held_;
  std::vector<int> spare_arg_tables_;
  std::unordered_map<std::string, VariableRef> variables_;
  std::unique_ptr<RegexCache> regexes_;
  const Caching caching_;
};

// The machine of a generation; it must have one.
Vm& vm_of(Generation& generation);

}  // namespace fairlead::lua
