// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/base/pool.h"

namespace fairlead {
namespace {

struct Witness {
  std::vector<int>* seen;
  int number;
  Witness(std::vector<int>* to, int n) : seen(to), number(n) {}
  ~Witness() { seen->push_back(number); }
};

TEST(Arena, AlignmentAndRoom) {
  Arena::Owner arena = Arena::open(256);
  std::vector<std::pair<char*, size_t>> blocks;
  for (size_t i = 0; i < 2000; ++i) {
    size_t bytes = i * 7 % 90, align = size_t{1} << i % 5;
    char* at = static_cast<char*>(arena->allocate(bytes, align));
    ASSERT_EQ(reinterpret_cast<uintptr_t>(at) % align, 0u);
    std::memset(at, static_cast<int>(i & 0xff), bytes);  // the address sanitizer watches
    blocks.emplace_back(at, bytes);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {  // nothing was handed out twice
    for (size_t k = 0; k < blocks[i].second; ++k) ASSERT_EQ(static_cast<unsigned char>(blocks[i].first[k]), i & 0xff);
  }
}

TEST(Arena, LargeObjectsKeepTheCurrentBlock) {
  Arena::Owner arena = Arena::open(4096);
  size_t first = arena->held_bytes();
  char* before = static_cast<char*>(arena->allocate(16, 1));
  char* large = static_cast<char*>(arena->allocate(100'000, 16));
  std::memset(large, 1, 100'000);
  EXPECT_GE(arena->held_bytes(), first + 100'000);
  char* after = static_cast<char*>(arena->allocate(16, 1));
  EXPECT_EQ(after, before + 16);  // still from the first block
}

TEST(Arena, TakesBackTheEndOfTheLatestAllocation) {
  Arena::Owner arena = Arena::open(4096);
  char* text = static_cast<char*>(arena->allocate(100, 1));
  arena->give_back(text + 10, text + 100);
  char* next = static_cast<char*>(arena->allocate(20, 1));
  EXPECT_EQ(next, text + 10);
  arena->give_back(text + 5, text + 10);  // no longer the latest
  EXPECT_EQ(static_cast<char*>(arena->allocate(1, 1)), next + 20);
}

TEST(Arena, DestroysInReverse) {
  std::vector<int> seen;
  {
    Arena::Owner arena = Arena::open(128);
    for (int i = 1; i <= 20; ++i) EXPECT_EQ(arena->make<Witness>(&seen, i)->number, i);
    EXPECT_TRUE(seen.empty());
  }
  ASSERT_EQ(seen.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], 20 - i);
}

TEST(Arena, OwningObjectsDoNotLeak) {  // the leak check of the address sanitizer is the assertion
  Arena::Owner arena = Arena::open(512);
  std::string* text = arena->make<std::string>(1000, 'x');
  EXPECT_EQ(text->size(), 1000u);
  EXPECT_EQ(*arena->make<int>(5), 5);
}

TEST(Arena, Texts) {
  Arena::Owner arena = Arena::open(256);
  std::string source = "hello";
  std::string_view copy = arena->copy(source);
  source = "other";
  EXPECT_EQ(copy, "hello");
  EXPECT_TRUE(arena->copy("").empty());
  EXPECT_STREQ(arena->copy_z("path"), "path");
  EXPECT_STREQ(arena->copy_z(std::string_view()), "");
  EXPECT_EQ(arena->join({"a", "", "bc", std::string_view()}), "abc");
  EXPECT_EQ(arena->join({}), "");
  std::string big(10'000, 'b');
  EXPECT_EQ(arena->join({"a", big, "c"}), "a" + big + "c");
}

TEST(Arena, Arrays) {
  Arena::Owner arena = Arena::open(256);
  std::memset(arena->allocate(100), 0xff, 100);
  std::span<uint64_t> numbers = arena->make_array<uint64_t>(50);
  ASSERT_EQ(numbers.size(), 50u);
  for (uint64_t number : numbers) EXPECT_EQ(number, 0u);
  EXPECT_EQ(arena->make_array<int>(0).size(), 0u);
}

TEST(Arena, GivesItsBlocksBack) {
  size_t large = pool_counts().large;
  {
    Arena::Owner arena = Arena::open(1024);
    for (int i = 0; i < 10; ++i) arena->allocate(50'000);
    EXPECT_GE(pool_counts().large, large + 10);
  }
  EXPECT_EQ(pool_counts().large, large);
}

}  // namespace
}  // namespace fairlead
