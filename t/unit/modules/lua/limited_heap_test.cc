// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/limited_heap.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "modules/lua/memory_limit.h"

namespace fairlead::lua {
namespace {

constexpr size_t limit_bytes = 8 << 20;

class LimitedHeapTest : public testing::Test {
 protected:
  LimitedHeapTest() : L_(luaL_newstate()) {
    luaL_openlibs(L_);
    heap_.start(L_, limit_bytes);
  }
  ~LimitedHeapTest() override {
    heap_.stop(L_);
    lua_close(L_);
  }
  // As scripts are entered. The error, or "".
  std::string run(const char* script) {
    EXPECT_EQ(luaL_loadstring(L_, script), 0);
    heap_.make_room(L_);
    MemoryLimit limited(true);
    std::string error;
    if (lua_pcall(L_, 0, 0, 0) != 0) {
      error = lua_tostring(L_, -1);
      lua_pop(L_, 1);
    }
    return error;
  }

  LimitedHeap heap_;
  lua_State* L_;
};

TEST_F(LimitedHeapTest, RefusesWhatExceedsTheLimitOfAScript) {
  EXPECT_EQ(run("kept = ('x'):rep(20 * 1024 * 1024)"), "not enough memory");
  EXPECT_LT(heap_.used_bytes(), limit_bytes);
  MemoryLimit limited(false);
  lua_newuserdata(L_, 2 * limit_bytes);  // the engine's own is never refused
  EXPECT_GT(heap_.used_bytes(), limit_bytes);
  lua_pop(L_, 1);
}

TEST_F(LimitedHeapTest, CountsAsLuaDoes) {
  EXPECT_EQ(run("kept = {} for i = 1, 1000 do kept[i] = ('x'):rep(100) .. i end"), "");
  auto counted = static_cast<size_t>(lua_gc(L_, LUA_GCCOUNT, 0)) * 1024 + static_cast<size_t>(lua_gc(L_, LUA_GCCOUNTB, 0));
  EXPECT_EQ(heap_.used_bytes(), counted);
}

TEST_F(LimitedHeapTest, WhatARefusedScriptLeftIsCollectedBeforeTheNext) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(run("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end"), "not enough memory") << i;
    EXPECT_EQ(run("local t = {} for i = 1, 3000 do t[i] = ('x'):rep(1000) .. i end"), "") << i;
  }
}

TEST_F(LimitedHeapTest, GarbageOfOneScriptIsCollectedWhileItRuns) {
  run("live = {}");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(run("for i = 1, 500 do live[#live + 1] = ('x'):rep(1000) .. #live end"), "") << i;
  for (int i = 0; i < 5; ++i) {  // with 5 MB live LuaJIT alone would begin at 10 MB
    EXPECT_EQ(run("for i = 1, 30000 do local s = ('y'):rep(1000) .. i end"), "") << i;
    EXPECT_EQ(run("for i = 1, 500 do local s = ('y'):rep(60000) .. i end"), "") << i;
  }
}

TEST_F(LimitedHeapTest, AFullHeapIsNotCollectedForEachScript) {
  EXPECT_EQ(run("live = {} while true do live[#live + 1] = { #live } end"), "not enough memory");
  uint64_t before = heap_.collections();
  constexpr uint64_t scripts = 2000;
  for (uint64_t i = 0; i < scripts; ++i) EXPECT_EQ(run("local s = ('x'):rep(4 * 1024 * 1024)"), "not enough memory");
  EXPECT_LT(heap_.collections() - before, scripts / 10);
}

TEST_F(LimitedHeapTest, ASmallHeapIsLeftToLua) {
  run("");
  uint64_t before = heap_.collections();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(run("local t = {} for i = 1, 100 do t[i] = { i } end"), "");
  EXPECT_EQ(heap_.collections(), before);
}

// LuaJIT itself does not survive one that fails in compiled code, or where a text is loaded.
TEST_F(LimitedHeapTest, AFinalizerThatFailsIsNoHarm) {
  EXPECT_NE(run("jit.off() for i = 1, 100 do getmetatable(newproxy(true)).__gc = function() error('no') end end "
                "local t = {} while true do t[#t + 1] = { #t } end"), "");
  int top = lua_gettop(L_);
  heap_.make_room(L_);
  EXPECT_EQ(lua_gettop(L_), top);
}

}  // namespace
}  // namespace fairlead::lua
