// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/slab.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace fairlead {
namespace {

// A slab over memory of its own; the bytes behind it must stay as they were.
class Memory {
 public:
  explicit Memory(size_t bytes, size_t misalignment = 0) : bytes_(bytes), block_(bytes + misalignment + guard, '\x5a') {
    void* at = block_.data();
    size_t space = block_.size();
    at = std::align(16, bytes, at, space);
    begin_ = static_cast<char*>(at) + misalignment / 16 * 16;
    slab = Slab::create(begin_, bytes);
  }
  bool guard_is_whole() const {
    const char* end = begin_ + bytes_;
    return end[0] == '\x5a' && end[15] == '\x5a';
  }
  Slab* slab;

 private:
  static constexpr size_t guard = 4096 + 64;
  size_t bytes_;
  std::vector<char> block_;
  char* begin_;
};

TEST(Slab, SmallestMemory) {
  EXPECT_EQ(Memory(4096).slab, nullptr);
  Memory two(3 * 4096);
  ASSERT_NE(two.slab, nullptr);
  EXPECT_GE(two.slab->capacity_bytes(), 4096u);
  EXPECT_EQ(two.slab->free_bytes(), two.slab->capacity_bytes());
}

TEST(Slab, BlockSizesAreThePowerOfTwoAboveThenPages) {
  Memory memory(1 << 20);
  for (auto [asked, given] : std::initializer_list<std::pair<size_t, size_t>>{
           {0, 16}, {1, 16}, {16, 16}, {17, 32}, {128, 128}, {129, 256}, {1025, 2048}, {2048, 2048}, {2049, 4096}, {4097, 8192}}) {
    void* block = memory.slab->allocate(asked);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(memory.slab->block_bytes(block), given) << asked;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 16, 0u);
  }
}

TEST(Slab, EveryByteOfCapacityCanBeUsedAndComesBack) {
  for (size_t size : {16, 64, 1024, 2048, 4096}) {
    Memory memory(300'000);
    size_t capacity = memory.slab->capacity_bytes();
    std::vector<void*> blocks;
    while (void* block = memory.slab->allocate(size)) {
      std::memset(block, 0xee, size);
      blocks.push_back(block);
    }
    EXPECT_EQ(blocks.size() * size, capacity);
    EXPECT_EQ(memory.slab->free_bytes(), 0u);
    EXPECT_EQ(memory.slab->allocate(size), nullptr);
    EXPECT_TRUE(memory.guard_is_whole());
    for (void* block : blocks) memory.slab->release(block);
    EXPECT_EQ(memory.slab->free_bytes(), capacity);
    void* all = memory.slab->allocate(capacity);  // every page has joined its neighbours again
    EXPECT_NE(all, nullptr);
    EXPECT_EQ(memory.slab->allocate(capacity + 1), nullptr);
  }
}

TEST(Slab, NeighbouringRunsBecomeOneInEveryOrder) {
  int order[] = {0, 1, 2, 3};
  do {
    Memory memory(64 * 4096);
    size_t pages = memory.slab->capacity_bytes() / 4096;
    void* runs[4];
    size_t left = pages - 9;
    for (int i = 0; i < 3; ++i) runs[i] = memory.slab->allocate((i + 2) * 4096);  // 2, 3 and 4 pages
    runs[3] = memory.slab->allocate(left * 4096);
    ASSERT_NE(runs[3], nullptr);
    for (int i : order) memory.slab->release(runs[i]);
    EXPECT_NE(memory.slab->allocate(pages * 4096), nullptr);
  } while (std::next_permutation(order, order + 4));
}

TEST(Slab, HugeRequestsFail) {
  Memory memory(1 << 20);
  EXPECT_EQ(memory.slab->allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(memory.slab->allocate(size_t{1} << 44), nullptr);
  EXPECT_EQ(memory.slab->usage().run_failures, 2u);
}

TEST(Slab, UsageCountsBlocksPagesAndFailures) {
  Memory memory(10 * 4096);
  uint64_t pages = memory.slab->usage().pages;
  void* block = memory.slab->allocate(100);
  SlabUsage usage = memory.slab->usage();
  EXPECT_EQ(usage.classes[3].block_bytes, 128u);
  EXPECT_EQ(usage.classes[3].used, 1u);
  EXPECT_EQ(usage.classes[3].free, 31u);
  EXPECT_EQ(usage.free_pages, pages - 1);
  while (memory.slab->allocate(4096)) {
  }
  EXPECT_EQ(memory.slab->allocate(16), nullptr);
  usage = memory.slab->usage();
  EXPECT_EQ(usage.classes[0].failures, 1u);
  EXPECT_EQ(usage.classes[3].requests, 1u);
  EXPECT_EQ(usage.free_pages, 0u);
  EXPECT_EQ(usage.run_failures, 1u);
  memory.slab->release(block);
  EXPECT_EQ(memory.slab->usage().free_pages, 1u);
}

// The model: what was given out, with its bytes. Blocks never overlap (their contents survive) and the sum of free bytes is exact.
void random_workload(unsigned seed, size_t memory_bytes, size_t size_max) {
  std::mt19937 random(seed);
  Memory memory(memory_bytes, random() % 4096);
  Slab& slab = *memory.slab;
  struct Given { size_t size; unsigned char fill; };
  std::map<char*, Given> model;
  size_t failures = 0;
  for (int step = 0; step < 20'000; ++step) {
    bool shrink = step / 4000 % 2;  // phases that fill and phases that empty
    if (model.empty() || random() % 10 < (shrink ? 3 : 7)) {
      size_t size = random() % 4 ? random() % 300 : random() % size_max;
      size_t before = slab.free_bytes();
      char* block = static_cast<char*>(slab.allocate(size));
      if (!block) {
        ++failures;
        ASSERT_EQ(slab.free_bytes(), before);
        continue;
      }
      ASSERT_EQ(before - slab.free_bytes(), slab.block_bytes(block));
      auto next = model.lower_bound(block);
      ASSERT_TRUE(next == model.end() || next->first >= block + slab.block_bytes(block));
      auto fill = static_cast<unsigned char>(random());
      std::memset(block, fill, slab.block_bytes(block));
      model[block] = {slab.block_bytes(block), fill};
    } else {
      auto at = std::next(model.begin(), static_cast<long>(random() % model.size()));
      for (size_t i = 0; i < at->second.size; ++i) ASSERT_EQ(static_cast<unsigned char>(at->first[i]), at->second.fill);
      slab.release(at->first);
      model.erase(at);
    }
  }
  EXPECT_GT(failures, 0u);  // the workload reached the end of the memory
  for (auto& [block, given] : model) slab.release(block);
  EXPECT_EQ(slab.free_bytes(), slab.capacity_bytes());
  EXPECT_NE(slab.allocate(slab.capacity_bytes()), nullptr);
  EXPECT_TRUE(memory.guard_is_whole());
}

TEST(Slab, RandomWorkloadsAgreeWithAModel) {
  for (unsigned seed = 1; seed <= 6; ++seed) random_workload(seed, 100'000 + seed * 77'777, 5'000);
  for (unsigned seed = 7; seed <= 10; ++seed) random_workload(seed, 2'000'000, 400'000);  // runs of a hundred pages
}

TEST(Slab, CreateAgainEmpties) {
  Memory memory(1 << 20);
  for (int i = 0; i < 100; ++i) ASSERT_NE(memory.slab->allocate(3000), nullptr);
  Slab* again = Slab::create(memory.slab, 1 << 20);
  EXPECT_EQ(again->free_bytes(), again->capacity_bytes());
  EXPECT_NE(again->allocate(again->capacity_bytes()), nullptr);
}

TEST(SlabDeathTest, ForeignAndDoubleReleaseAreAssertions) {
  Memory memory(1 << 20);
  auto* block = static_cast<char*>(memory.slab->allocate(64));
  EXPECT_DEATH(memory.slab->release(block + 16), "assertion failed");
  EXPECT_DEATH(memory.slab->release(&memory), "assertion failed");
  memory.slab->release(block);
  EXPECT_DEATH(memory.slab->release(block), "assertion failed");
}

}  // namespace
}  // namespace fairlead
