// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/run.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "core/base/format.h"
#include "event/worker.h"
#include "http/request/handle.h"
#include "modules/lua/body_read.h"

namespace fairlead::lua {

PromiseBase* LightThread::done(PromiseBase&) {
  if (std::exchange(awaits_gone, false)) ++run.live_;
  values = wait.promise().take();
  wait.reset();
  run.make_ready(*this);
  return std::exchange(run.paused_, nullptr);
}

Run::Run(Vm& vm, Hook hook, http::Request* request, Logger logger)
    : vm_(vm), hook_(hook), request_(request), logger_(logger), entry_(*this, vm.take_thread()) {}

// Waits are cancelled before the coroutines on whose stacks they would push.
Run::~Run() {
  for (auto& thread : others_) thread->wait.reset();
  entry_.wait.reset();
  body_read.reset();
  for (auto& thread : others_) {
    if (thread->state != LightThread::State::dead) retire(*thread);
  }
  if (entry_.state != LightThread::State::dead) retire(entry_);
  while (Owned* each = owned.pop_front()) each->close_for_end();
  if (ctx_ref != LUA_NOREF) luaL_unref(vm_.main(), LUA_REGISTRYINDEX, ctx_ref);
}

Loop& Run::loop() { return vm_.worker()->loop(); }

// Waits until some thread is ready, or all is over.
class Run::Pause {
 public:
  explicit Pause(Run& run) : run_(run) {}
  ~Pause() { run_.paused_ = nullptr; }
  bool await_ready() const { return !run_.ready_.empty() || run_.is_over(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) { run_.paused_ = &frame.promise(); }
  void await_resume() const {}

 private:
  Run& run_;
};

bool Run::start(int arguments) {
  entry_.values = arguments;
  make_ready(entry_);
  run_ready();
  return is_over();
}

Task<Unit> Run::finish() {
  while (!is_over()) {
    if (ready_.empty()) {
      Pause pause(*this);
      co_await pause;
    } else {
      co_await Yield(loop());
    }
    run_ready();
  }
  co_return Unit();
}

// Threads that yield to each other for ever leave the loop its turn; what they compute until then counts as one entry into Lua.
void Run::run_ready() {
  RunLimit::Entry entry(vm_.main());
  for (int left = steps_per_turn; left > 0 && !is_over() && !ready_.empty(); --left) {
    LightThread& thread = *ready_.front();
    thread.unlink();
    step(thread);
  }
}

// One thread, until it waits, ends, or gives way.
void Run::step(LightThread& thread) {
  for (;;) {
    current_ = &thread;
    ask_ = Ask::yield;
    int status;
    {
      Scope scope(vm_, hook_, request_, logger_, this);
      vm_.make_room();
      MemoryLimit limited(true);
      scope.handshake = handshake;
      status = lua_resume(thread.active, std::exchange(thread.values, 0));
    }
    if (status == LUA_YIELD) {
      if (!take_yield(thread)) return;
      continue;
    }
    if (leave_coroutine(thread, status == 0)) continue;
    if (status != 0) log_failure(thread);
    finish_thread(thread, status == 0);
    return;
  }
}

// What a yield asks for. True: the thread goes on at once.
bool Run::take_yield(LightThread& thread) {
  lua_State* L = thread.active;
  switch (ask_) {
    case Ask::wait:
      lua_settop(L, 0);
      thread.wait = std::move(wait_);
      thread.wait.promise().set_completion(&thread);
      if (thread.wait.promise().run()) {
        thread.values = thread.wait.promise().take();
        thread.wait.reset();
        return !ended_;  // see end_from_wait()
      }
      thread.state = LightThread::State::waiting;
      return false;
    case Ask::resume:
      thread.resumers.push_back(L);
      thread.active = resumed_;
      vm_.hold(resumed_);
      thread.values = resumed_values_;
      return true;
    case Ask::spawn:  // the new one runs first, until it waits
      thread.state = spawned_->state = LightThread::State::ready;
      ready_.push_front(thread);
      ready_.push_front(*spawned_);
      thread.values = 1;
      return false;
    case Ask::join:
      thread.state = LightThread::State::waiting;
      return false;
    case Ask::end:
      ended_ = true;
      return false;
    case Ask::yield: break;
  }
  if (thread.resumers.empty()) {
    lua_settop(L, 0);
    make_ready(thread);
    return false;
  }
  return leave_coroutine(thread, true);
}

// Hands what is on the stack of a coroutine that yielded or ended to the one that resumed it. False: nobody did.
bool Run::leave_coroutine(LightThread& thread, bool succeeded) {
  if (thread.resumers.empty()) return false;
  lua_State* from = thread.active;
  lua_State* to = thread.resumers.back();
  thread.resumers.pop_back();
  thread.active = to;
  vm_.release(from);
  int count = succeeded ? lua_gettop(from) : 1;
  lua_settop(to, 0);
  lua_pushboolean(to, succeeded);
  if (!lua_checkstack(to, count)) count = 0;
  lua_xmove(from, to, count);
  thread.values = count + 1;
  return true;
}

// "coroutine N:" and where that stands, behind what is there. On the stack of L: that of the coroutine may be full.
static void append_trace(lua_State* L, lua_State* of, int number, std::string& to) {
  luaL_traceback(L, of, nullptr, 0);
  std::string_view trace = lua_tostring(L, -1);
  std::string_view header = "stack traceback:";
  if (trace.starts_with(header)) trace.remove_prefix(header.size());
  fmt::format_to(std::back_inserter(to), "\ncoroutine {}:{}", number, trace);
  lua_pop(L, 1);
}

// With the coroutines that led to it: those that resumed it, the threads that spawned them.
void Run::log_failure(LightThread& thread) {
  constexpr size_t trace_bytes_max = 4096;  // a line of the log holds less
  lua_State* L = vm_.main();
  Scope scope(vm_, hook_, request_, logger_);
  lua_xmove(thread.active, L, 1);
  Vm::push_reason(L, -1);
  std::string& text = vm_.text;
  text.clear();
  int number = 0;
  for (const LightThread* each = &thread; each && text.size() < trace_bytes_max; each = each->parent) {
    if (each != &thread && each->state == LightThread::State::dead) break;
    append_trace(L, each->active, number++, text);
    for (auto resumer = each->resumers.rbegin(); resumer != each->resumers.rend(); ++resumer) append_trace(L, *resumer, number++, text);
  }
  const char* which = &thread == &entry_ ? "entry" : "user";
  logger_.error("lua {} thread aborted: runtime error: {}\nstack traceback:{}", which, lua_tostring(L, -1), text);
  lua_pop(L, 1);
  lua_xmove(L, thread.active, 1);
}

// What it waited for must not wake it any more, and nobody else resume what it was in.
void Run::retire(LightThread& thread) {
  bool finished = thread.state == LightThread::State::dead && thread.succeeded;
  thread.state = LightThread::State::dead;
  thread.joins = false;
  thread.joined.clear();
  if (!thread.resumers.empty()) {
    vm_.give_up(thread.active);
    for (lua_State* each : thread.resumers) vm_.give_up(each);
  }
  vm_.give_thread(thread.own, finished && &thread == &entry_);
}

void Run::finish_thread(LightThread& thread, bool succeeded) {
  --live_;
  thread.succeeded = succeeded;
  if (&thread == &entry_) {
    if (!succeeded) {
      ending_.kind = Ending::Kind::failed;
      ended_ = true;
    }
    thread.state = LightThread::State::dead;
    retire(thread);
    drop_zombies();
    return;
  }
  thread.state = LightThread::State::zombie;
  wake_joiner(thread);
  drop_zombies();
}

// What nobody can wait for any more. Objects of threads that are gone go, too, except that of the thread that is running.
void Run::drop_zombies() {
  for (auto& thread : others_) {
    bool orphaned = !thread->parent || thread->parent->state == LightThread::State::dead;
    if (thread->state == LightThread::State::zombie && orphaned) retire(*thread);
  }
  if (others_.size() < drop_at_) return;
  for (auto& thread : others_)
    if (thread->parent && thread->parent != &entry_ && thread->parent->state == LightThread::State::dead) thread->parent = nullptr;
  std::erase_if(others_, [&](auto& thread) { return thread->state == LightThread::State::dead && thread.get() != current_; });
  drop_at_ = std::max<size_t>(16, 2 * others_.size());
}

// The parent waits for it, or finds it a zombie later.
void Run::wake_joiner(LightThread& finished) {
  LightThread* parent = finished.parent;
  if (!parent || !parent->joins) return;
  if (std::find(parent->joined.begin(), parent->joined.end(), &finished) == parent->joined.end()) return;
  parent->joins = false;
  parent->joined.clear();
  give_results(*parent, finished);
  make_ready(*parent);
}

// true and what it returned, or false and its error.
void Run::give_results(LightThread& to, LightThread& from) {
  lua_State* L = to.active;
  int count = from.succeeded ? lua_gettop(from.own.L) : 1;
  lua_settop(L, 0);
  lua_pushboolean(L, from.succeeded);
  if (!lua_checkstack(L, count)) count = 0;
  lua_xmove(from.own.L, L, count);
  to.values = count + 1;
  retire(from);
}

// -- called from Lua --

void Run::check_driven(lua_State* L) const {
  if (L != current_->active) luaL_error(L, "attempt to wait in a coroutine of the original coroutine functions");
  if (lua_isyieldable(L)) return;
  lua_pushliteral(L, "attempt to yield across C-call boundary");  // as Lua says it itself: without a place
  lua_error(L);
}

int Run::end(lua_State* L, const Ending& how) {
  check_driven(L);
  int yielded = lua_yield(L, 0);
  ask_ = Ask::end;
  ending_ = how;
  return yielded;
}

int Run::resume(lua_State* L, lua_State* other, int arguments) {
  check_driven(L);
  if (current_->resumers.size() >= nested_coroutines_max) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "C stack overflow");
    return 2;
  }
  lua_xmove(L, other, arguments);
  // A fresh coroutine has its function below the arguments.
  lua_pushthread(other);
  lua_xmove(other, L, 1);
  int yielded = lua_yield(L, 1);  // it stays on our stack: what anchors it
  ask_ = Ask::resume;
  resumed_ = other;
  resumed_values_ = arguments;
  return yielded;
}

int Run::spawn(lua_State* L, int arguments) {
  check_driven(L);
  lua_State* made = lua_newthread(L);
  lua_insert(L, 1);
  lua_xmove(L, made, arguments + 1);
  lua_pushvalue(L, 1);
  int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  int yielded = lua_yield(L, 1);  // the new coroutine is what spawn() gives
  auto thread = std::make_unique<LightThread>(*this, Vm::Thread{made, anchor});
  thread->parent = current_;
  thread->values = arguments;
  vm_.hold(made);
  ask_ = Ask::spawn;
  spawned_ = thread.get();
  others_.push_back(std::move(thread));
  ++live_;
  return yielded;
}

Wait Run::wait_gone() {
  co_await http::ClientGone(*request_);
  logger().info("{}", http::how_client_left(*request_));
  request_->response.keep_alive = false;  // nobody is left for requests that came behind this one
  co_return 0;
}

bool Run::call_when_gone(lua_State* L) {
  if (std::exchange(has_gone_call_, true)) return false;
  lua_State* made = lua_newthread(L);
  lua_insert(L, -2);
  lua_xmove(L, made, 1);
  int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  auto thread = std::make_unique<LightThread>(*this, Vm::Thread{made, anchor});
  thread->parent = &entry_;
  vm_.hold(made);
  thread->awaits_gone = true;
  thread->state = LightThread::State::waiting;
  LightThread& waiting = *thread;
  others_.push_back(std::move(thread));
  ends_with_client.reset();
  // Waits for nothing of Lua's, so it may be started here; a client that is gone already makes it ready at once.
  waiting.wait = wait_gone();
  waiting.wait.promise().set_completion(&waiting);
  if (waiting.wait.promise().run()) waiting.done(waiting.wait.promise());
  return true;
}

LightThread* Run::find_thread(lua_State* L) {
  if (entry_.own.L == L && entry_.state != LightThread::State::dead) return &entry_;
  for (auto& thread : others_)
    if (thread->own.L == L && thread->state != LightThread::State::dead) return thread.get();
  return nullptr;
}

static lua_State* check_thread(lua_State* L, int index) {
  lua_State* thread = lua_tothread(L, index);
  if (!thread) luaL_argerror(L, index, "lua thread expected");
  return thread;
}

// Of what find_thread() does not know: a coroutine of the script's own, not a thread that ended.
bool Run::is_no_thread(lua_State* L, int index) const {
  lua_State* other = lua_tothread(L, index);
  if (lua_status(other) == LUA_YIELD) return !vm_.is_given_up(L, index);
  return lua_status(other) == 0 && lua_gettop(other) > 0;
}

int Run::join(lua_State* L) {
  int count = lua_gettop(L);
  if (count == 0) return luaL_error(L, "at least one coroutine should be specified");
  for (int i = 1; i <= count; ++i) check_thread(L, i);
  for (int i = 1; i <= count; ++i) {
    LightThread* thread = find_thread(lua_tothread(L, i));
    if (thread == &entry_ || (!thread && is_no_thread(L, i)))
      return luaL_error(L, "attempt to wait on a coroutine that is not a user thread");
    if (!thread) return push_failure(L, "already waited or killed");
    if (thread->parent != current_) return luaL_error(L, "only the parent coroutine can wait on the thread");
    if (thread->state != LightThread::State::zombie) continue;
    int results = thread->succeeded ? lua_gettop(thread->own.L) : 1;
    lua_pushboolean(L, thread->succeeded);
    luaL_checkstack(L, results, "too many results");
    lua_xmove(thread->own.L, L, results);
    retire(*thread);
    return results + 1;
  }
  check_driven(L);
  int yielded = lua_yield(L, count);  // the coroutines stay anchored
  ask_ = Ask::join;
  current_->joined.clear();
  for (int i = 1; i <= count; ++i) current_->joined.push_back(find_thread(lua_tothread(L, i - 1 - count)));
  current_->joins = true;
  return yielded;
}

int Run::kill(lua_State* L) {
  LightThread* thread = find_thread(check_thread(L, 1));
  if (!thread) return push_failure(L, is_no_thread(L, 1) ? "not user thread" : "already waited or killed");
  if (thread == &entry_) return push_failure(L, "not user thread");
  if (thread->parent != current_ || thread == current_) return push_failure(L, "killer not parent");
  bool has_ended = thread->state == LightThread::State::zombie;
  if (!has_ended) {
    if (thread->linked()) thread->unlink();
    thread->wait.reset();
    thread->succeeded = false;
    --live_;
  }
  retire(*thread);
  drop_zombies();
  if (has_ended) return push_failure(L, "already terminated");
  lua_pushinteger(L, 1);
  return 1;
}

static const char* status_in(const LightThread& thread, lua_State* other) {
  if (thread.state == LightThread::State::dead) return nullptr;
  const auto& resumers = thread.resumers;
  if (std::find(resumers.begin(), resumers.end(), other) != resumers.end()) return "normal";
  return thread.active == other ? "running" : nullptr;
}

const char* Run::status(lua_State* L, lua_State* other) {
  if (LightThread* thread = find_thread(other)) {
    if (thread->state == LightThread::State::zombie) return "zombie";
    if (thread->resumers.empty()) return "running";
  }
  if (other == L) return "running";
  const char* known = status_in(entry_, other);
  for (size_t i = 0; !known && i < others_.size(); ++i) known = status_in(*others_[i], other);
  return known;
}

}  // namespace fairlead::lua
