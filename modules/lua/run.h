// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Run: one run of a script that may wait: its light threads and the coroutines they resume, scheduled onto our tasks. A function of the API
// that waits leaves a Task here and yields; the run starts it, and when it is done goes on in Lua with the values it pushed. Only the run
// resumes Lua; nothing of ours is resumed inside Lua. Destroying a run (the client is gone, the worker ends) cancels what its threads wait
// for; their coroutines are left to the collector.
//
// Owned by the frame of the hook or of the timer that runs it.
#pragma once

#include <lua.hpp>

#include <memory>
#include <optional>
#include <vector>

#include "core/base/list.h"
#include "event/loop/loop.h"
#include "event/loop/task.h"
#include "http/request/request.h"
#include "modules/lua/request_state.h"
#include "modules/lua/scope.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {

// Waits, then pushes its results on the Lua stack of the thread that asked, and gives their number.
using Wait = Task<int>;

class BodyRead;
class Run;

// The entry of a run, or what ngx.thread.spawn made.
class LightThread final : public Link, public Completion {
 public:
  LightThread(Run& of_run, Vm::Thread in) : run(of_run), own(in), active(in.L) {}
  PromiseBase* done(PromiseBase& finished) override;

  enum class State : uint8_t {
    ready,    // on the list of those to go on
    waiting,  // for `wait`, or for other threads
    zombie,   // done, its results not yet asked for
    dead,
  };
  Run& run;
  Vm::Thread own;                    // of a dead one nothing: the coroutine may be gone, and its address another's
  lua_State* active;                 // the coroutine that runs, or waits; `own.L` or one that was resumed from it
  std::vector<lua_State*> resumers;  // those that resumed it, outermost first
  LightThread* parent = nullptr;
  Wait wait;
  int values = 0;                    // on the stack of `active`, to go on with
  State state = State::ready;
  bool joins = false;                // waits for one of `joined`
  bool succeeded = false;            // when done
  bool awaits_gone = false;          // is not counted before the client leaves
  std::vector<LightThread*> joined;
};

// How a run ended.
struct Ending {
  enum class Kind : uint8_t { returned, failed, exited, redirected, located } kind = Kind::returned;
  int code = 0;             // of exited; of failed: the status if nothing was sent, 0: 500
  std::string_view uri;     // of redirected (ngx.exec): in the request's arena
  std::string_view args;
};

class Run {
 public:
  Run(Vm& vm, Hook hook, http::Request* request, Logger logger);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // The coroutine of the entry: the function and its arguments are to be pushed on it before start().
  lua_State* entry() { return entry_.own.L; }
  // Runs until all wait: true if that was all. Otherwise finish() has to be awaited. Plain.
  bool start(int arguments);
  Task<Unit> finish();
  const Ending& ending() const { return ending_; }

  // -- for functions of the API, called from Lua: `return run.wait_for(L, task)` --

  // Raises where a script cannot wait: across a C call, or in a coroutine that the run does not drive. For functions that have to know
  // before they make something.
  void check_driven(lua_State* L) const;
  // The task is started when Lua has been left. May raise like check_driven(): `make` is called behind that, when the arguments are no
  // longer on the stack.
  template <class Make>
  int wait_for(lua_State* L, Make&& make) {
    check_driven(L);
    int yielded = lua_yield(L, 0);
    ask_ = Ask::wait;
    wait_ = make();
    return yielded;
  }
  // Ends the run: no further line of any of its threads is executed.
  int end(lua_State* L, const Ending& how);
  // Resumes `other` with `arguments` values on top of L, in place of the coroutine L.
  int resume(lua_State* L, lua_State* other, int arguments);
  int spawn(lua_State* L, int arguments);
  // Starts a light thread with the function on top of L when the client leaves. False: there is one already.
  bool call_when_gone(lua_State* L);
  int join(lua_State* L);
  int kill(lua_State* L);
  // "running", "suspended", ... of a coroutine; nullptr: ask Lua.
  const char* status(lua_State* L, lua_State* other);

  // For a wait: the run ends with it.
  void end_from_wait(const Ending& how) {
    ended_ = true;
    ending_ = how;
  }

  LightThread& current() { return *current_; }
  // For a wait, from its last co_await on: what it makes in Lua may collect, and the finalizers that scripts wrote call the API.
  Scope aside() { return Scope(vm_, hook_, request_, logger_); }
  Vm& vm() { return vm_; }
  http::Request* request() { return request_; }
  Logger& logger() { return logger_; }
  Loop& loop();
  Hook hook() const { return hook_; }
  // Of a timer's run: its ngx.ctx, and what is closed with it.
  int ctx_ref = LUA_NOREF;
  List<Owned> owned;
  std::unique_ptr<BodyRead> body_read;  // of ngx.req.read_body(), from the first call on
  TlsHandshake* handshake = nullptr;  // of a hook in one
  const Block* timer_place = nullptr;  // of a timer's run: the place of who made it
  // A client that leaves ends the request and this run with it (lua_check_client_abort), unless the script has a function for that.
  std::optional<http::AbortScope> ends_with_client;

 private:
  friend class LightThread;
  static constexpr int steps_per_turn = 64;
  static constexpr size_t nested_coroutines_max = 1000;
  enum class Ask : uint8_t { yield, wait, resume, end, spawn, join };
  class Pause;

  Wait wait_gone();
  void run_ready();
  void step(LightThread& thread);
  bool take_yield(LightThread& thread);
  bool leave_coroutine(LightThread& thread, bool succeeded);
  void finish_thread(LightThread& thread, bool succeeded);
  void wake_joiner(LightThread& finished);
  void drop_zombies();
  void give_results(LightThread& to, LightThread& from);
  void log_failure(LightThread& thread);
  void retire(LightThread& thread);
  void make_ready(LightThread& thread) {
    thread.state = LightThread::State::ready;
    ready_.push_back(thread);
  }
  LightThread* find_thread(lua_State* L);
  bool is_no_thread(lua_State* L, int index) const;
  bool is_over() const { return ended_ || live_ == 0; }

  Vm& vm_;
  const Hook hook_;
  http::Request* const request_;
  Logger logger_;
  List<LightThread> ready_;
  LightThread entry_;
  std::vector<std::unique_ptr<LightThread>> others_;
  LightThread* current_ = nullptr;
  size_t live_ = 1;      // threads not done
  size_t drop_at_ = 16;  // objects of dead threads are looked for when there are so many
  PromiseBase* paused_ = nullptr;
  bool has_gone_call_ = false;
  bool ended_ = false;
  Ending ending_;
  // What the function of the API that yielded asked for.
  Ask ask_ = Ask::yield;
  Wait wait_;
  lua_State* resumed_ = nullptr;
  int resumed_values_ = 0;
  LightThread* spawned_ = nullptr;
};

}  // namespace fairlead::lua
