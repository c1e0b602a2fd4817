// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/vm.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "modules/lua/api.h"
#include "modules/lua/process_stack.h"
#include "modules/lua/regex_cache.h"

namespace fairlead::lua {

static constexpr size_t spare_threads_max = 256;
static constexpr size_t variables_max = 4096;

Vm::Vm(Generation& generation, const Block& http, Caching caching)
    : generation_(generation),
      http_(http),
      conf_(fairlead::conf<LuaConf>(http)),
      regexes_(std::make_unique<RegexCache>(conf_.regex_cache_max, conf_.regex_match_limit)),
      caching_(caching) {}

Vm::~Vm() { close(); }

void Vm::close() {
  if (!main_) return;
  heap_.stop(main_);
  Scope scope(*this, Hook::exit_worker, nullptr, Logger());  // of finalizers that scripts wrote
  RunLimit::Closing closing;
  lua_close(main_);
  main_ = nullptr;
}

Vm& vm_of(Generation& generation) { return *fairlead::conf<LuaConf>(generation.root()).vm; }

// An error where nothing protects: the engine's own pushes, out of memory. The worker ends and is replaced.
static int on_panic(lua_State* L) {
  const char* text = lua_tostring(L, -1);
  Logger().alert("lua: unprotected error: {}", text ? text : "?");
  FL_ASSERT(false);
  return 0;
}

template <Vm::Api api>
int Vm::open_protected(lua_State* L) {
  Vm& vm = *static_cast<Vm*>(lua_touserdata(L, 1));
  luaL_openlibs(L);
  guard_stack(L);
  if (!vm.conf_.jit) luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  vm.set_paths();
  if (api == Api::whole) open_api(L, vm);
  else open_thread_api(L, vm);
  return 0;
}

static int add_traceback(lua_State* L) {
  Vm::push_reason(L, 1);
  luaL_traceback(L, L, lua_tostring(L, -1), 1);
  return 1;
}

ConfResult<Unit> Vm::open(Api api) {
  main_ = luaL_newstate();
  if (!main_) return std::string("failed to create a Lua machine");
  lua_atpanic(main_, on_panic);
  if (conf_.memory_limit) heap_.start(main_, conf_.memory_limit);
  lua_pushcfunction(main_, api == Api::whole ? &Vm::open_protected<Api::whole> : &Vm::open_protected<Api::thread>);
  lua_pushlightuserdata(main_, this);
  Scope scope(*this, Hook::init, nullptr, Logger());
  if (lua_pcall(main_, 1, 0, 0) != 0) return format("failed to open the Lua API: {}", lua_tostring(main_, -1));
  lua_pushcfunction(main_, add_traceback);
  traceback_ref_ = luaL_ref(main_, LUA_REGISTRYINDEX);
  lua_createtable(main_, 0, 0);
  given_up_ref_ = luaL_ref(main_, LUA_REGISTRYINDEX);
  return Unit();
}

static void replace_all(std::string& in, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = in.find(what, at)) != std::string::npos; at += with.size()) in.replace(at, what.size(), with);
}

// ";;" stands for what the library has by default.
void Vm::set_code_paths(const char* field, std::string_view path) {
  lua_getglobal(main_, "package");
  lua_getfield(main_, -1, field);
  std::string whole(path);
  replace_all(whole, "${prefix}", generation_.request().prefix);
  replace_all(whole, "$prefix", generation_.request().prefix);
  std::string before = lua_tostring(main_, -1);
  size_t at = whole.find(";;");
  if (at != std::string::npos) whole.replace(at, 2, (at ? ";" : "") + before + (at + 2 < whole.size() ? ";" : ""));
  lua_pop(main_, 1);
  push_text(main_, whole);
  lua_setfield(main_, -2, field);
  lua_pop(main_, 1);
}

void Vm::set_paths() {
  if (!conf_.package_path.empty()) set_code_paths("path", conf_.package_path);
  if (!conf_.package_cpath.empty()) set_code_paths("cpath", conf_.package_cpath);
}

// -- scripts --

static int load_text(lua_State* L, const Script& script) {
  return luaL_loadbuffer(L, script.code.data(), script.code.size(), std::string(script.chunk_name).c_str());
}

// Without a session the text is the bare reason: such a hook says whose it is.
Vm::Loaded Vm::push_script(lua_State* L, const Script& script, Session* session) {
  bool reads_anew = script.is_file && (!script.path.is_literal() || (session && !fairlead::conf<LuaConf>(*session).code_cache));
  bool caches = caching_ == Caching::on && !reads_anew;
  if (caches && script.function >= 0) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, script.function);
    return Loaded::ok;
  }
  Scope scope(*this, Hook::exit_worker, nullptr, Logger());  // of finalizers that scripts wrote
  int failed;
  if (script.is_file) {
    std::string path(session ? script.path.evaluate(*session) : script.path.literal());
    if (path.empty() || path[0] != '/') path = generation_.request().prefix + path;
    struct stat found;
    int problem = stat(path.c_str(), &found) != 0 ? errno : S_ISDIR(found.st_mode) ? EISDIR : S_ISREG(found.st_mode) ? 0 : EINVAL;
    if (problem) {
      text = format("cannot open {}: {}", path, std::strerror(problem));
      if (session) text = format("failed to load external Lua file \"{}\": {}", path, text);
      return Loaded::missing;
    }
    failed = luaL_loadfile(L, path.c_str());
  } else {
    failed = load_text(L, script);
  }
  if (failed) {
    text = lua_tostring(L, -1);
    if (session) text = format("failed to load {} Lua code: {}", script.is_file ? "external" : "inlined", text);
    lua_pop(L, 1);
    return Loaded::failed;
  }
  if (caches) {
    lua_pushvalue(L, -1);
    script.function = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  return Loaded::ok;
}

void Vm::push_reason(lua_State* L, int index) {
  if (lua_isstring(L, index)) {
    lua_pushvalue(L, index);
    return;
  }
  if (index < 0) index = lua_gettop(L) + index + 1;
  if (luaL_getmetafield(L, index, "__tostring")) {
    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) == 0 && lua_isstring(L, -1)) return;
    lua_pop(L, 1);
  }
  lua_pushliteral(L, "unknown reason");
}

bool Vm::call(lua_State* L, int arguments, int results) {
  int base = lua_gettop(L) - arguments;
  lua_rawgeti(L, LUA_REGISTRYINDEX, traceback_ref_);
  lua_insert(L, base);
  bool good;
  make_room();
  {
    MemoryLimit limited(true);
    good = lua_pcall(L, arguments, results, base) == 0;
  }
  lua_remove(L, base);
  return good;
}

// -- coroutines --

Vm::Thread Vm::take_thread() {
  if (!spare_.empty()) {
    Thread thread = spare_.back();
    spare_.pop_back();
    return thread;
  }
  Thread thread;
  Scope scope(*this, Hook::exit_worker, nullptr, Logger());  // of finalizers that scripts wrote
  thread.L = lua_newthread(main_);
  thread.anchor = luaL_ref(main_, LUA_REGISTRYINDEX);
  hold(thread.L);
  return thread;
}

void Vm::give_thread(Thread thread, bool finished) {
  if (finished && spare_.size() < spare_threads_max) {
    lua_settop(thread.L, 0);
    spare_.push_back(thread);
    return;
  }
  if (lua_status(thread.L) == 0) lua_settop(thread.L, 0);  // with values, or a function, it would look like one that has not begun
  give_up(thread.L);
  luaL_unref(main_, LUA_REGISTRYINDEX, thread.anchor);
}

// Nothing that Lua offers ends a coroutine that has yielded. It never runs again, so its environment is free to say so.
void Vm::give_up(lua_State* coroutine) {
  release(coroutine);
  if (lua_status(coroutine) != LUA_YIELD) return;
  MemoryLimit unlimited(false);  // an error would be one of the coroutine, which nothing protects
  lua_pushthread(coroutine);
  lua_xmove(coroutine, main_, 1);
  lua_rawgeti(main_, LUA_REGISTRYINDEX, given_up_ref_);
  lua_setfenv(main_, -2);
  lua_pop(main_, 1);
}

bool Vm::is_given_up(lua_State* L, int index) const {
  lua_getfenv(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, given_up_ref_);
  bool same = lua_rawequal(L, -1, -2) != 0;
  lua_pop(L, 2);
  return same;
}

// -- ngx.arg --

int Vm::push_arg_table(lua_State* L) {
  if (!spare_arg_tables_.empty()) {
    int ref = spare_arg_tables_.back();
    spare_arg_tables_.pop_back();
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    return ref;
  }
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, -1);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void Vm::give_arg_table(lua_State* L, int ref) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  for (lua_pushnil(L); lua_next(L, -2);) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  lua_pop(L, 1);
  spare_arg_tables_.push_back(ref);
}

// -- globals --

// The prelude left a function for it.
void Vm::guard_globals() {
  lua_getfield(main_, LUA_REGISTRYINDEX, "fairlead.guard_globals");
  Scope scope(*this, Hook::init, nullptr, Logger());
  if (lua_pcall(main_, 0, 0, 0) != 0) lua_pop(main_, 1);
}

// -- variables --

const VariableRef& Vm::variable(std::string_view name) {
  static thread_local std::string key;
  key.assign(name);
  for (char& byte : key) byte = lower(byte);
  auto known = variables_.find(key);
  if (known != variables_.end()) return known->second;
  if (variables_.size() >= variables_max) variables_.clear();
  VariableRef& made = variables_.emplace(key, VariableRef()).first->second;
  VariableTable& table = generation_.variables(http_variable);
  if (auto index = table.find(key)) {
    made.index = *index;
    return made;
  }
  made.def = table.built_in(key);
  made.exists = made.def != nullptr;
  if (made.exists && (made.def->flags & variable_prefix))
    made.rest = std::string_view(variables_.find(key)->first).substr(made.def->name.size());
  return made;
}

Value read_variable(Session& session, const VariableRef& ref) {
  if (!ref.exists) return Value::missing();
  if (!ref.def) return session.variable(ref.index);
  uintptr_t datum = ref.def->flags & variable_prefix ? reinterpret_cast<uintptr_t>(&ref.rest) : ref.def->datum;
  return ref.def->get(session, datum);
}

}  // namespace fairlead::lua
