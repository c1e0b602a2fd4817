// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.run_worker_thread for scripts; the machines behind it are those of thread_machine.h.
#include "event/file/thread_pools.h"
#include "event/worker.h"
#include "modules/lua/api.h"
#include "modules/lua/run.h"
#include "modules/lua/thread_machine.h"

namespace fairlead::lua {
namespace {

// Runs on a file thread; made and destroyed on the loop's.
struct CallOnThread {
  std::unique_ptr<ThreadMachines::Lease> lease;
  ThreadCall call;
  ThreadOutcome operator()() { return lease->machine().run(call); }
};

int push_refusal(lua_State* L, std::string_view why) {
  lua_pushboolean(L, 0);
  push_text(L, why);
  return 2;
}

Wait wait_called(BlockingPool& pool, CallOnThread what, Run& run, lua_State* L) {
  auto calling = blocking(pool, std::move(what));
  auto outcome = co_await calling;
  Scope scope = run.aside();
  if (!outcome) co_return push_refusal(L, outcome.error().what);
  if (outcome->wrong) co_return push_refusal(L, *outcome->wrong);
  int count = static_cast<int>(outcome->values.size());
  if (!lua_checkstack(L, count + 8)) co_return push_refusal(L, "too many results");
  lua_pushboolean(L, 1);
  for (const PlainValue& each : outcome->values) each.push(L);
  co_return count + 1;
}

// run_worker_thread(pool, module, function, ...)
int run_worker_thread(lua_State* L) {
  Run& run = waiting_run(L);
  if (lua_gettop(L) < 3) return push_refusal(L, "expecting at least 3 arguments");
  if (!lua_isstring(L, 1)) return push_refusal(L, "threadpool should be a string");
  if (!lua_isstring(L, 2)) return push_refusal(L, "module name should be a string");
  if (!lua_isstring(L, 3)) return push_refusal(L, "function name should be a string");
  std::string_view pool_name = check_text(L, 1);
  Worker& worker = *run.vm().worker();
  BlockingPool* pool = worker.state<ThreadPools>().find(pool_name);
  if (!pool) {
    lua_pushboolean(L, 0);
    lua_pushfstring(L, "thread pool %s not found", pool_name.data());
    return 2;
  }
  ThreadMachines& machines = worker.state<ThreadMachines>();
  std::string& wrong = run.vm().text;
  wrong.clear();
  ThreadCall& draft = machines.draft;
  draft.module = check_text(L, 2);
  draft.function = check_text(L, 3);
  draft.arguments.clear();
  for (int at = 4; at <= lua_gettop(L); ++at)
    if (!draft.arguments.emplace_back().read(L, at, wrong)) return push_refusal(L, wrong += " in the argument");
  machines.drafted.reset();
  machines.drafted = machines.lease(wrong);
  if (!machines.drafted) return push_refusal(L, wrong);
  return run.wait_for(L, [&] {
    CallOnThread what{std::move(machines.drafted), std::move(draft)};
    return wait_called(*pool, std::move(what), run, L);
  });
}

}  // namespace

void add_worker_thread(lua_State* L) {
  lua_pushcfunction(L, run_worker_thread);
  lua_setfield(L, -2, "run_worker_thread");
}

}  // namespace fairlead::lua
