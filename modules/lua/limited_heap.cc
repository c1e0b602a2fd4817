// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/limited_heap.h"

#include <algorithm>
#include <chrono>

#include "modules/lua/memory_limit.h"

namespace fairlead::lua {

// A collection takes at most one part in so many, and one, of the time.
static constexpr uint64_t rest_factor = 10;
// LuaJIT's defaults, in percent: the size at which a cycle begins, of what was live; the work of a step, of its 1 KiB.
static constexpr size_t pause_default = 200;
static constexpr size_t step_default = 200;
static constexpr size_t step_max = 1 << 26;
static constexpr size_t step_unit = 10;  // bytes of work for a percent
// A step is done for each allocation, however big: for this size they are made to suffice.
static constexpr size_t allocation_bytes = 64 << 10;

static int collect_all(lua_State* L) {
  lua_gc(L, LUA_GCCOLLECT, 0);
  return 0;
}

void LimitedHeap::start(lua_State* machine, size_t limit_bytes) {
  limit_bytes_ = limit_bytes;
  real_allocate_ = lua_getallocf(machine, &real_state_);
  used_bytes_ = static_cast<size_t>(lua_gc(machine, LUA_GCCOUNT, 0)) * 1024 + static_cast<size_t>(lua_gc(machine, LUA_GCCOUNTB, 0));
  lua_setallocf(machine, &LimitedHeap::allocate, this);
  lua_pushcfunction(machine, collect_all);
  collect_ref_ = luaL_ref(machine, LUA_REGISTRYINDEX);
  collect_above_bytes_ = limit_bytes / 4;  // the first time soon: what is live is not known yet
  lead_collector(machine);
}

void LimitedHeap::stop(lua_State* machine) {
  if (real_allocate_) lua_setallocf(machine, real_allocate_, real_state_);
}

void* LimitedHeap::allocate(void* self, void* block, size_t old_bytes, size_t new_bytes) {
  LimitedHeap& heap = *static_cast<LimitedHeap*>(self);
  bool exceeds = new_bytes > old_bytes && heap.used_bytes_ + (new_bytes - old_bytes) > heap.limit_bytes_;
  if (exceeds && MemoryLimit::holds()) {
    heap.refused_ = true;
    return nullptr;
  }
  void* made = heap.real_allocate_(heap.real_state_, block, old_bytes, new_bytes);
  if (made || new_bytes == 0) heap.used_bytes_ += new_bytes - old_bytes;
  return made;
}

static uint64_t monotonic_ns() {
  auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

void LimitedHeap::look_after(lua_State* machine) {
  uint64_t begin_ns = monotonic_ns();
  bool may_collect = refused_ && begin_ns >= rests_until_ns_;
  if (used_bytes_ > collect_above_bytes_ || may_collect) {
    collect(machine);
    uint64_t end_ns = monotonic_ns();
    rests_until_ns_ = end_ns + rest_factor * (end_ns - begin_ns);
    collect_above_bytes_ = used_bytes_ + std::max(free_bytes() / 4 * 3, limit_bytes_ / 16);
  } else if (used_bytes_ <= look_above_bytes_) {
    return;
  }
  lead_collector(machine);
}

// A finalizer may fail, and is a script: it has the limit of one. Nothing is allocated outside the protected call: that may collect, too.
void LimitedHeap::collect(lua_State* machine) {
  ++collections_;
  refused_ = false;
  lua_rawgeti(machine, LUA_REGISTRYINDEX, collect_ref_);
  MemoryLimit limited(true);
  if (lua_pcall(machine, 0, 0, 0) != 0) lua_pop(machine, 1);
}

void LimitedHeap::lead_collector(lua_State* machine) {
  size_t live = std::max<size_t>(used_bytes_, 1);  // or less
  size_t least = limit_bytes_ / 16;
  look_above_bytes_ = std::min(live + least, collect_above_bytes_);
  size_t pause = std::min(pause_default, 100 + std::max(free_bytes() / 4, least) * 100 / live);
  // A cycle's work is about twice what is live, and half of what is free is there for what the script allocates meanwhile.
  size_t steps = std::max<size_t>(free_bytes() / 2 / allocation_bytes, 1);
  size_t step = std::clamp(2 * live / steps / step_unit, step_default, step_max);
  lua_gc(machine, LUA_GCSETPAUSE, static_cast<int>(pause));
  lua_gc(machine, LUA_GCSETSTEPMUL, static_cast<int>(step));
  lua_gc(machine, LUA_GCRESTART, -1);  // the next cycle begins by that pause, too
}

}  // namespace fairlead::lua
