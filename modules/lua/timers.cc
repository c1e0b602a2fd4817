// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/timers.h"

#include <memory>

#include "event/worker.h"
#include "http/request/client_facts.h"
#include "modules/lua/api.h"
#include "modules/lua/counted.h"
#include "modules/lua/run.h"
#include "modules/lua/socket_object.h"

namespace fairlead::lua {
namespace {

// Names the client of the request that added the timer, or the timer that did.
class TimerContext final : public LogContext {
 public:
  explicit TimerContext(const Scope& by) {
    if (by.request) {
      client_ = *by.request->client_addr;
      server_ = by.request->facts.point.addr;
    } else if (by.hook == Hook::timer) {
      *this = *static_cast<const TimerContext*>(by.logger.context());
    }
  }
  void append(LogText& to) const override {
    to.append(", context: ngx.timer");
    if (!client_.valid()) return;
    char text[Addr::text_max];
    to.append(", client: ");
    to.append({text, static_cast<size_t>(client_.write_host(text) - text)});
    to.append(", server: ");
    to.append({text, static_cast<size_t>(server_.write(text) - text)});
  }

 private:
  Addr client_, server_;
};

}  // namespace

class Timers::Held {
 public:
  Held(Scope& by, lua_State* L, int values)
      : shared_(std::make_shared<Stack>(by)), place_(&place_of(by)), logger_(by.logger.log(), 0, &shared_->context) {
    lua_xmove(L, shared_->thread.L, values);
  }
  Vm& vm() const { return shared_->vm; }
  // Whose values hold for it, and where it logs: as of whoever added it, also where that is a request that has ended. They are of the
  // machine's generation, and live as long.
  const Block& place() const { return *place_; }
  const Logger& logger() const { return logger_; }
  // Where the function stands: `source` and `linedefined`.
  lua_Debug describe() const {
    lua_State* L = shared_->thread.L;
    lua_Debug found;
    lua_checkstack(L, 1);
    lua_pushvalue(L, 1);
    lua_getinfo(L, ">S", &found);
    return found;
  }
  // Pushes the function, `premature` and the arguments; gives the number of arguments.
  int push_to(lua_State* L, bool premature) const {
    lua_State* from = shared_->thread.L;
    int count = lua_gettop(from);
    lua_checkstack(L, count + 1);
    for (int i = 1; i <= count; ++i) {
      lua_pushvalue(from, i);
      lua_xmove(from, L, 1);
      if (i == 1) lua_pushboolean(L, premature);
    }
    return count;
  }

 private:
  struct Stack {
    explicit Stack(const Scope& by) : kept(by.vm.weak_from_this().lock()), vm(by.vm), thread(by.vm.take_thread()), context(by) {}
    ~Stack() { vm.give_thread(thread, true); }
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;
    std::shared_ptr<Vm> kept;  // a request's own machine
    Vm& vm;
    Vm::Thread thread;
    TimerContext context;
  };
  std::shared_ptr<Stack> shared_;
  const Block* place_;
  Logger logger_;
};

Timers::Timers(Worker& worker) : worker_(worker), leaving_(worker.loop()), nursery_(worker.loop()) {}

Timers::~Timers() {
  nursery_.cancel();
  if (Vm* vm = fairlead::conf<LuaConf>(worker_.generation().root()).vm) {
    vm->close();
    RunLimit::stop();  // not before: finalizers are scripts, too
  }
}

const char* Timers::add(lua_State* L, int arguments, uint64_t delay_ms, bool repeats) {
  Scope& scope = Scope::current();
  const char* wrong = nullptr;
  if (worker_.is_draining() && delay_ms > 0) wrong = "process exiting";
  else if (pending_ >= scope.vm.conf().max_pending_timers) wrong = "too many pending timers";
  if (wrong) {
    lua_pop(L, arguments + 1);
    return wrong;
  }
  Held held(scope, L, arguments + 1);
  nursery_.spawn(wait_and_run(held, delay_ms, repeats));
  return nullptr;
}

Task<Unit> Timers::wait_and_run(Held held, uint64_t delay_ms, bool repeats) {
  bool premature = false;
  do {
    {
      Counted pending(pending_);
      if (delay_ms == 0) {
        co_await Yield(worker_.loop());
      } else {
        WaitStatus status = co_await leaving_.wait(worker_.loop().now_ms() + delay_ms);
        premature = status == WaitStatus::ready;
      }
    }
    start_run(held, premature);
  } while (repeats && !premature);
  co_return Unit();
}

void Timers::start_run(const Held& held, bool premature) {
  uint64_t limit = held.vm().conf().max_running_timers;
  if (running_ >= limit) {
    lua_Debug function = held.describe();
    Logger().alert("lua failed to run timer with function defined at {}:{}: {} lua_max_running_timers are not enough", function.source,
                   function.linedefined, limit);
    return;
  }
  nursery_.spawn(run(held, premature));
}

Task<Unit> Timers::run(Held held, bool premature) {
  Counted running(running_);
  Run run(held.vm(), Hook::timer, nullptr, held.logger());
  run.timer_place = &held.place();
  int arguments = held.push_to(run.entry(), premature);
  if (!run.start(arguments)) co_await run.finish();
  co_return Unit();
}

Task<Unit> Timers::leave() {
  leaving_.set();
  co_await nursery_.all_done();
  co_return Unit();
}

Task<Unit> Timers::finish() {
  co_await nursery_.all_done();
  co_return Unit();
}

namespace {

Timers& timers_of(lua_State* L) {
  Scope& scope = Scope::current();
  if (!scope.vm.worker()) luaL_error(L, "API disabled in the context of %s", hook_name(scope.hook));
  return scope.vm.worker()->state<Timers>();
}

int add_any(lua_State* L, bool repeats) {
  if (lua_gettop(L) < 2) return luaL_error(L, "expecting at least 2 arguments but got %d", lua_gettop(L));
  double delay = luaL_checknumber(L, 1);
  if (repeats && delay == 0) return luaL_error(L, "delay cannot be zero");
  luaL_argcheck(L, lua_isfunction(L, 2) && !lua_iscfunction(L, 2), 2, "Lua function expected");
  Timers& timers = timers_of(L);
  if (timers.are_over()) return luaL_error(L, "API disabled in the context of %s", hook_name(Scope::current().hook));
  // A time that is past is now; what repeats lets others have their turn.
  uint64_t ms = to_ms(delay);
  if (ms == 0 && (repeats || delay > 0)) ms = 1;
  const char* wrong = timers.add(L, lua_gettop(L) - 2, ms, repeats);
  if (wrong) return push_failure(L, wrong);
  lua_pushinteger(L, 1);
  return 1;
}
int timer_at(lua_State* L) { return add_any(L, false); }
int timer_every(lua_State* L) { return add_any(L, true); }

int running_count(lua_State* L) {
  lua_pushinteger(L, static_cast<lua_Integer>(timers_of(L).running()));
  return 1;
}
int pending_count(lua_State* L) {
  lua_pushinteger(L, static_cast<lua_Integer>(timers_of(L).pending()));
  return 1;
}

constexpr luaL_Reg functions[] = {
    {"at", timer_at}, {"every", timer_every}, {"running_count", running_count}, {"pending_count", pending_count}, {nullptr, nullptr}};

}  // namespace

void add_timers(lua_State* L) {
  lua_createtable(L, 0, 4);
  set_functions(L, functions);
  lua_setfield(L, -2, "timer");
}

}  // namespace fairlead::lua
