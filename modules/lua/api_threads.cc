// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Coroutines and light threads for scripts, sleeping, semaphores. Where a script may wait, resuming
// a coroutine goes by way of the run, so that functions of the API may wait at any depth; elsewhere
// coroutines are Lua's own.
#include <algorithm>
#include <climits>
#include <cmath>
#include <new>
#include <optional>

#include "event/loop/sync.h"
#include "event/worker.h"
#include "modules/lua/api.h"
#include "modules/lua/process_stack.h"
#include "modules/lua/run.h"

namespace fairlead::lua {
namespace {

Wait wait_asleep(Loop& loop, uint64_t ms) {
  if (ms == 0) co_await Yield(loop);
  else co_await Sleep(loop, ms);
  co_return 0;
}

int sleep(lua_State* L) {
  if (lua_gettop(L) != 1) return luaL_error(L, "attempt to pass %d arguments, but accepted 1", lua_gettop(L));
  double seconds = luaL_checknumber(L, 1);
  Run& run = waiting_run(L);
  if (!(seconds >= 0)) {
    auto shown = static_cast<int>(std::fmax(seconds * 1000, INT_MIN));
    return luaL_error(L, "invalid sleep duration \"%d\"", shown);
  }
  const uint64_t ms = to_ms(seconds);
  return run.wait_for(L, [&] { return wait_asleep(run.loop(), ms); });
}

int on_abort(lua_State* L) {
  Scope& scope = allowed_scope(L, request_hooks);
  if (!conf<LuaConf>(*scope.request).check_client_abort) return push_failure(L, "lua_check_client_abort is off");
  allowed_scope(L, output_hooks);
  luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1, "Lua function expected");
  lua_settop(L, 1);
  if (!scope.run->call_when_gone(L)) return push_failure(L, "duplicate call");
  lua_pushinteger(L, 1);
  return 1;
}

// -- coroutines --

// The coroutine at 1: fresh or yielded, and not driven by a run: one that runs has frames, and is
// not to be touched.
bool is_suspended(lua_State* L) {
  lua_State* other = lua_tothread(L, 1);
  const Vm& vm = Scope::current().vm;
  if (vm.is_held(other)) return false;
  if (lua_status(other) == LUA_YIELD) return !vm.is_given_up(L, 1);
  lua_Debug frame;
  return lua_status(other) == 0 && lua_gettop(other) > 0 && !lua_getstack(other, 0, &frame);
}

// Coroutines in each other outside of runs, where each takes some of the process's stack; as many
// as Lua 5.1 has.
constexpr int plain_nesting_max = 200;
thread_local int plain_nesting = 0;

int push_no_resume(lua_State* L, const char* why) {
  lua_pushboolean(L, 0);
  lua_pushstring(L, why);
  return 2;
}

int resume_by_lua(lua_State* L, lua_State* other, int arguments) {
  if (!is_suspended(L)) return push_no_resume(L, "cannot resume dead coroutine");
  if (plain_nesting >= plain_nesting_max || !has_stack_room()) return push_no_resume(L, "C stack overflow");
  lua_xmove(L, other, arguments);
  ++plain_nesting;
  int status = lua_resume(other, arguments);
  --plain_nesting;
  int count = status == 0 || status == LUA_YIELD ? lua_gettop(other) : 1;
  lua_pushboolean(L, status == 0 || status == LUA_YIELD);
  luaL_checkstack(L, count, "too many results to resume");
  lua_xmove(other, L, count);
  return count + 1;
}

int resume(lua_State* L) {
  lua_State* other = lua_tothread(L, 1);
  if (!other) return luaL_argerror(L, 1, "coroutine expected");
  int arguments = lua_gettop(L) - 1;
  Scope& scope = Scope::current();
  if (!scope.run) return resume_by_lua(L, other, arguments);
  const char* known = scope.run->status(L, other);
  if (known || !is_suspended(L)) {
    lua_pushboolean(L, 0);
    lua_pushfstring(L, "cannot resume %s coroutine", known ? known : "dead");
    return 2;
  }
  if (!lua_checkstack(other, arguments + 1)) return luaL_error(L, "too many arguments to resume");
  return scope.run->resume(L, other, arguments);
}

// A run has no coroutines of C functions, as in the original; elsewhere they are Lua's own.
int create(lua_State* L) {
  bool takes_any = !Scope::current().run;
  luaL_argcheck(L, lua_isfunction(L, 1) && (takes_any || !lua_iscfunction(L, 1)), 1, "Lua function expected");
  lua_State* made = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, made, 1);
  return 1;
}

int yield(lua_State* L) { return lua_yield(L, lua_gettop(L)); }

int status(lua_State* L) {
  lua_State* other = lua_tothread(L, 1);
  if (!other) return luaL_argerror(L, 1, "coroutine expected");
  const char* known = nullptr;
  Scope& scope = Scope::current();
  if (scope.run) known = scope.run->status(L, other);
  else if (other == L) known = "running";
  if (!known) {
    lua_Debug frame;
    if (scope.vm.is_held(other) && lua_status(other) == LUA_YIELD) known = "running";
    else if (lua_status(other) == LUA_YIELD) known = scope.vm.is_given_up(L, 1) ? "dead" : "suspended";
    else if (lua_status(other) != 0) known = "dead";
    else if (lua_getstack(other, 0, &frame)) known = "normal";
    else known = lua_gettop(other) > 0 ? "suspended" : "dead";
  }
  lua_pushstring(L, known);
  return 1;
}

// -- light threads --

int spawn(lua_State* L) {
  Run& run = waiting_run(L);
  luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1, "Lua function expected");
  return run.spawn(L, lua_gettop(L) - 1);
}
int thread_wait(lua_State* L) { return waiting_run(L).join(L); }
int thread_kill(lua_State* L) { return waiting_run(L).kill(L); }

// -- semaphores: a table, for libraries to extend, whose first element is a userdata. One that init_by_lua made has but a count until a
// worker, whose loop its waiters need, uses it --

// No semaphore has more units: so many a number of Lua counts exactly.
constexpr lua_Integer units_max = lua_Integer{1} << 53;

struct Sema {
  explicit Sema(lua_Integer units) : before_loop(units) {}
  lua_Integer before_loop;
  std::optional<fairlead::Semaphore> in_loop;
};

// nullptr as long as there is no loop.
fairlead::Semaphore* units_of(Sema& sema) {
  Worker* worker = Scope::current().vm.worker();
  if (!sema.in_loop && worker) sema.in_loop.emplace(worker->loop(), static_cast<size_t>(sema.before_loop));
  return sema.in_loop ? &*sema.in_loop : nullptr;
}

constexpr char sema_type[] = "fairlead.semaphore", sema_table_type[] = "fairlead.semaphores";

// Of the table at 1; its userdata is left on top.
Sema& push_sema(lua_State* L) {
  void* held = nullptr;
  if (lua_istable(L, 1)) {
    lua_rawgeti(L, 1, 1);
    held = luaL_testudata(L, -1, sema_type);
  }
  if (!held) luaL_error(L, "not a semaphore instance");
  return *static_cast<Sema*>(held);
}

Sema& sema_of(lua_State* L) {
  Sema& sema = push_sema(L);
  lua_pop(L, 1);
  return sema;
}

int semaphore_new(lua_State* L) {
  lua_Integer count = luaL_optinteger(L, 1, 0);
  if (count < 0) return luaL_error(L, "no negative number");
  lua_createtable(L, 1, 0);
  new (lua_newuserdata(L, sizeof(Sema))) Sema(std::min(count, units_max));
  luaL_getmetatable(L, sema_type);
  lua_setmetatable(L, -2);
  lua_rawseti(L, -2, 1);
  luaL_getmetatable(L, sema_table_type);
  lua_setmetatable(L, -2);
  return 1;
}

int semaphore_gc(lua_State* L) {
  static_cast<Sema*>(lua_touserdata(L, 1))->~Sema();
  return 0;
}

// The userdata is anchored at `anchor` in the registry while somebody waits on it.
class Anchor {
 public:
  Anchor(lua_State* main, int ref) : main_(main), ref_(ref) {}
  ~Anchor() { luaL_unref(main_, LUA_REGISTRYINDEX, ref_); }
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;

 private:
  lua_State* main_;
  int ref_;
};

struct SemaphoreWait {
  Sema& sema;
  Run& run;
  lua_State* L;
  int anchor;
  uint64_t ms;
};

Wait wait_semaphore(SemaphoreWait what) {
  Anchor anchor(what.run.vm().main(), what.anchor);
  WaitStatus status = co_await what.sema.in_loop->acquire(what.run.loop().now_ms() + what.ms);
  bool got = status == WaitStatus::ready;
  Scope scope = what.run.aside();
  lua_pushboolean(what.L, got);
  if (got) co_return 1;
  lua_pushliteral(what.L, "timeout");
  co_return 2;
}

int semaphore_wait(lua_State* L) {
  Sema& sema = sema_of(L);
  double seconds = luaL_checknumber(L, 2);
  if (seconds < 0) return luaL_error(L, "no negative number");
  Scope& scope = Scope::current();
  if (!scope.run) {
    lua_pushnil(L);
    lua_pushfstring(L, "API disabled in the context of %s", hook_name(scope.hook));
    return 2;
  }
  Run& run = *scope.run;
  if (units_of(sema)->try_acquire()) {
    lua_pushboolean(L, 1);
    return 1;
  }
  const uint64_t ms = to_ms(seconds);
  if (ms == 0) return push_failure(L, "timeout");
  run.check_driven(L);
  push_sema(L);
  int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  return run.wait_for(L, [&] { return wait_semaphore(SemaphoreWait{sema, run, L, anchor, ms}); });
}

int semaphore_post(lua_State* L) {
  Sema& sema = sema_of(L);
  lua_Integer count = luaL_optinteger(L, 2, 1);
  if (count < 1) return luaL_error(L, "positive number required");
  fairlead::Semaphore* units = units_of(sema);
  count = std::min(count, units_max - (units ? static_cast<lua_Integer>(units->available()) : sema.before_loop));
  if (units) units->release(static_cast<size_t>(count));
  else sema.before_loop += count;
  lua_pushboolean(L, 1);
  return 1;
}

int semaphore_count(lua_State* L) {
  Sema& sema = sema_of(L);
  fairlead::Semaphore* units = units_of(sema);
  lua_pushinteger(L, units ? static_cast<lua_Integer>(units->available() - units->waiting()) : sema.before_loop);
  return 1;
}

constexpr luaL_Reg semaphore_functions[] = {
    {"new", semaphore_new}, {"wait", semaphore_wait}, {"post", semaphore_post}, {"count", semaphore_count}, {nullptr, nullptr}};

// The module's functions are the methods, too.
void add_semaphores(lua_State* L) {
  luaL_newmetatable(L, sema_type);
  lua_pushcfunction(L, semaphore_gc);
  lua_setfield(L, -2, "__gc");
  lua_createtable(L, 0, 0);
  lua_setfield(L, -2, "__index");
  hide_metatable(L);
  lua_pop(L, 1);
  lua_createtable(L, 0, 5);
  set_functions(L, semaphore_functions);
  luaL_newmetatable(L, sema_table_type);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_setfield(L, -2, "_semaphore");
}

constexpr luaL_Reg coroutine_functions[] = {
    {"create", create}, {"resume", resume}, {"yield", yield}, {"status", status}, {nullptr, nullptr}};

constexpr luaL_Reg thread_functions[] = {{"spawn", spawn}, {"wait", thread_wait}, {"kill", thread_kill}, {nullptr, nullptr}};

}  // namespace

void add_threads(lua_State* L) {
  lua_pushcfunction(L, sleep);
  lua_setfield(L, -2, "sleep");
  lua_pushcfunction(L, on_abort);
  lua_setfield(L, -2, "on_abort");
  lua_createtable(L, 0, 4);
  set_functions(L, thread_functions);
  lua_setfield(L, -2, "thread");
  lua_getglobal(L, "coroutine");
  for (const char* name : {"resume", "yield", "status", "create", "wrap"}) {
    lua_getfield(L, -1, name);
    lua_pushfstring(L, "_%s", name);
    lua_insert(L, -2);
    lua_settable(L, -3);
  }
  set_functions(L, coroutine_functions);
  lua_pop(L, 1);
  add_semaphores(L);
}

}  // namespace fairlead::lua
