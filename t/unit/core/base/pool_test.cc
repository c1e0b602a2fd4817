// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace fairlead {
namespace {

// Under the address sanitizer each block is the heap's, and slabs do not exist.
bool has_slabs() { return pool_rounded(1) != 1; }

TEST(Pool, RoundedIsMonotonicAndStable) {
  size_t before = 0;
  for (size_t bytes = 1; bytes < 30'000; ++bytes) {
    size_t rounded = pool_rounded(bytes);
    ASSERT_GE(rounded, bytes);
    ASSERT_GE(rounded, before);
    ASSERT_EQ(pool_rounded(rounded), rounded);
    if (bytes > 512) {
      ASSERT_LE(rounded, bytes + bytes / 4);
    } else {
      ASSERT_LT(rounded, bytes + 32);
    }
    before = rounded;
  }
}

TEST(Pool, BlocksAreAlignedAndApart) {
  std::mt19937 random(7);
  struct Block {
    unsigned char* at;
    size_t bytes;
    unsigned char mark;
  };
  std::vector<Block> live;
  for (int i = 0; i < 20'000; ++i) {
    if (live.size() < 300 || random() % 2) {
      size_t bytes = random() % 8 == 0 ? random() % 24'000 : random() % 1500;
      auto* at = static_cast<unsigned char*>(pool_allocate(bytes));
      ASSERT_EQ(reinterpret_cast<uintptr_t>(at) % 16, 0u);
      unsigned char mark = static_cast<unsigned char>(random());
      std::memset(at, mark, pool_rounded(bytes));  // the slack is ours, too
      live.push_back({at, bytes, mark});
    } else {
      size_t which = random() % live.size();
      Block block = live[which];
      live[which] = live.back();
      live.pop_back();
      for (size_t k = 0; k < pool_rounded(block.bytes); ++k) ASSERT_EQ(block.at[k], block.mark);
      pool_release(block.at, block.bytes);
    }
  }
  for (const Block& block : live) pool_release(block.at, block.bytes);
}

TEST(Pool, ReleasedBlockIsNext) {
  if (!has_slabs()) GTEST_SKIP() << "the pool is the heap";
  void* first = pool_allocate(200);
  void* second = pool_allocate(200);
  pool_release(first, 200);
  EXPECT_EQ(pool_allocate(193), first);  // the same class
  pool_release(first, 193);
  pool_release(second, 200);
}

TEST(Pool, TrimGivesEmptySlabsBack) {
  if (!has_slabs()) GTEST_SKIP() << "the pool is the heap";
  while (pool_trim()) {
  }
  size_t before = pool_counts().slabs;
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(pool_allocate(4000));
  size_t high = pool_counts().slabs;
  EXPECT_GE(high, before + 1000 / 16);
  EXPECT_FALSE(pool_trim());  // nothing is empty
  for (void* block : blocks) pool_release(block, 4000);
  EXPECT_EQ(pool_counts().slabs, high);
  EXPECT_TRUE(pool_trim());  // seen empty for the first time: kept
  EXPECT_EQ(pool_counts().slabs, high);
  void* one = pool_allocate(4000);  // takes one of them into use again
  EXPECT_FALSE(pool_trim());
  EXPECT_EQ(pool_counts().slabs, before + 1);
  pool_release(one, 4000);
  EXPECT_TRUE(pool_trim());
  EXPECT_FALSE(pool_trim());
  EXPECT_EQ(pool_counts().slabs, before);
}

TEST(Pool, LargeBlocksAreCounted) {
  size_t large = pool_counts().large;
  uint64_t allocations = pool_counts().allocations;
  void* block = pool_allocate(1'000'000);
  std::memset(block, 1, 1'000'000);
  EXPECT_EQ(pool_counts().large, large + 1);
  EXPECT_EQ(pool_counts().allocations, allocations + 1);
  pool_release(block, 1'000'000);
  EXPECT_EQ(pool_counts().large, large);
}

}  // namespace
}  // namespace fairlead
