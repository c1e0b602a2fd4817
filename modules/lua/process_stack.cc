// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/process_stack.h"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace fairlead::lua {
namespace {

constexpr rlim_t wanted_bytes = 64 << 20;

// What calls through table.sort, load and the like take of it before Lua's own stack ends.
constexpr size_t kept_bytes_max = 8 << 20;

// Below this address there is no room; 0: not known yet.
thread_local uintptr_t lowest = 0;

// Without /proc nobody knows the stack of the first thread: then it counts as beginning here.
uintptr_t find_lowest() {
  void* end = nullptr;
  size_t bytes = 0;
  pthread_attr_t attributes;
  rlimit limit;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &end, &bytes);
    pthread_attr_destroy(&attributes);
  } else if (getrlimit(RLIMIT_STACK, &limit) == 0) {
    bytes = std::min(limit.rlim_cur, wanted_bytes);
    end = static_cast<char*>(__builtin_frame_address(0)) - bytes;
  }
  return reinterpret_cast<uintptr_t>(end) + std::min(kept_bytes_max, bytes / 2);
}

std::atomic<lua_CFunction> gsub_of_library;

int gsub(lua_State* L) {
  if (has_stack_room()) return gsub_of_library.load(std::memory_order_relaxed)(L);
  lua_pushliteral(L, "stack overflow");
  return lua_error(L);
}

}  // namespace

void raise_stack_limit() {
  rlimit limit;
  lowest = 0;
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= wanted_bytes) return;
  limit.rlim_cur = std::min(wanted_bytes, limit.rlim_max);
  setrlimit(RLIMIT_STACK, &limit);
}

bool has_stack_room() {
  if (lowest == 0) lowest = find_lowest();
  return reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) > lowest;
}

void guard_stack(lua_State* L) {
  lua_getglobal(L, "string");
  lua_getfield(L, -1, "gsub");
  gsub_of_library.store(lua_tocfunction(L, -1), std::memory_order_relaxed);
  lua_pushcfunction(L, gsub);
  lua_setfield(L, -3, "gsub");
  lua_pop(L, 2);
}

}  // namespace fairlead::lua
