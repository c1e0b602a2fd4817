// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// LimitedHeap: lua_memory_limit of one machine. Its allocator refuses what would exceed the limit, while MemoryLimit::holds(). LuaJIT does
// not collect when an allocation is refused, and left alone lets a heap double before it collects, which may lie above the limit: so the
// collector is led here.
//
// The rule, with `live` what the last collection left and `free` what is between that and the limit:
// - LuaJIT's own collector, which works beside the script, begins when a quarter of `free` is used up, or at 2 * live as usual if that is
//   less, and works the faster the less `free` is. It is told so anew when the heap has grown by a 16th of the limit: until the next
//   collection all that is used counts as live there.
// - Before a script is entered all is collected at once if three quarters of `free` are used up.
// - Neither begins before a 16th of the limit was allocated since the last time: they cost a bounded share of the allocations.
// - Before a script is entered all is collected after a refusal, too: what was live may have become garbage. So that a machine whose live
//   objects fill the limit does not collect for every request, the next one of this kind is no sooner than ten times as long as the last
//   collection took: at most an eleventh of the time.
#pragma once

#include <lua.hpp>

#include <cstddef>
#include <cstdint>

namespace fairlead::lua {

class LimitedHeap {
 public:
  LimitedHeap() = default;
  LimitedHeap(const LimitedHeap&) = delete;
  LimitedHeap& operator=(const LimitedHeap&) = delete;

  // From now on the machine's memory comes from here; this must outlive it, or stop() be called before. `limit_bytes` is not 0.
  void start(lua_State* machine, size_t limit_bytes);
  // Gives the machine its own allocator back. Without effect if start() was not called.
  void stop(lua_State* machine);
  // To be called before a script is entered, outside of MemoryLimit and within a Scope: finalizers may run. Leaves the stack as it is.
  void make_room(lua_State* machine) {
    if (used_bytes_ > look_above_bytes_ || refused_) look_after(machine);
  }

  size_t used_bytes() const { return used_bytes_; }
  uint64_t collections() const { return collections_; }

 private:
  static void* allocate(void* self, void* block, size_t old_bytes, size_t new_bytes);
  size_t free_bytes() const { return used_bytes_ < limit_bytes_ ? limit_bytes_ - used_bytes_ : 0; }
  void look_after(lua_State* machine);
  void collect(lua_State* machine);
  void lead_collector(lua_State* machine);

  lua_Alloc real_allocate_ = nullptr;
  void* real_state_ = nullptr;
  int collect_ref_ = LUA_NOREF;  // a function
  size_t limit_bytes_ = 0;
  size_t used_bytes_ = 0;  // without a limit it is not counted
  size_t look_above_bytes_ = SIZE_MAX;  // what LuaJIT's collector was told suffices up to there
  size_t collect_above_bytes_ = SIZE_MAX;
  bool refused_ = false;      // since the last collection
  uint64_t rests_until_ns_ = 0;  // no collection after a refusal before that (monotonic)
  uint64_t collections_ = 0;
};

}  // namespace fairlead::lua
