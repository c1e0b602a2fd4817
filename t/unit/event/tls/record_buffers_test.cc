// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/record_buffers.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstring>
#include <thread>
#include <vector>

#include "core/base/pool.h"

namespace fairlead {
namespace {

// What OpenSSL asks for to read a record, and to write one.
constexpr size_t read_bytes = 16712, write_bytes = 16568;

class RecordBuffers : public testing::Test {
 protected:
  static void SetUpTestSuite() { is_kept = keep_record_buffers() && !pool_detail::is_heap; }
  void SetUp() override {
    if (pool_detail::is_heap) GTEST_SKIP() << "none is kept under the address sanitizer";
    ASSERT_TRUE(is_kept);
    drop_record_buffers();
  }
  static inline bool is_kept = false;
};

TEST_F(RecordBuffers, KeepsWhatHoldsARecordForTheNext) {
  void* first = OPENSSL_malloc(read_bytes);
  OPENSSL_free(first);
  EXPECT_EQ(kept_record_buffers(), 1u);
  void* second = OPENSSL_malloc(write_bytes);
  EXPECT_EQ(second, first);
  EXPECT_EQ(kept_record_buffers(), 0u);
  std::memset(second, 'x', read_bytes);  // any of them has room for any record
  OPENSSL_free(second);
  drop_record_buffers();
  EXPECT_EQ(kept_record_buffers(), 0u);
}

TEST_F(RecordBuffers, KeepsNoMoreThanItsLimit) {
  std::vector<void*> blocks;
  for (unsigned i = 0; i < 3 * record_buffers_max; ++i) blocks.push_back(OPENSSL_malloc(read_bytes));
  for (void* block : blocks) OPENSSL_free(block);
  EXPECT_EQ(kept_record_buffers(), record_buffers_max);
}

TEST_F(RecordBuffers, LeavesOtherSizesToTheHeap) {
  for (size_t bytes : {size_t{1}, size_t{1000}, size_t{16 * 1024}, size_t{18 * 1024}, size_t{100 * 1024}})
    OPENSSL_free(OPENSSL_malloc(bytes));
  EXPECT_EQ(kept_record_buffers(), 0u);
  EXPECT_EQ(OPENSSL_malloc(0), nullptr);
  OPENSSL_free(nullptr);
}

TEST_F(RecordBuffers, GrowAndShrinkAsBlocksOfTheHeap) {
  OPENSSL_free(OPENSSL_malloc(read_bytes));
  char* block = static_cast<char*>(OPENSSL_malloc(read_bytes));
  std::memset(block, 'x', read_bytes);
  block = static_cast<char*>(OPENSSL_realloc(block, 64 * 1024));
  EXPECT_EQ(block[read_bytes - 1], 'x');
  block = static_cast<char*>(OPENSSL_realloc(block, write_bytes));
  EXPECT_EQ(block[write_bytes - 1], 'x');
  OPENSSL_free(block);
}

TEST_F(RecordBuffers, AreEachThreadsOwn) {
  void* block = OPENSSL_malloc(read_bytes);
  std::thread([&] {
    OPENSSL_free(block);
    EXPECT_EQ(kept_record_buffers(), 1u);
    drop_record_buffers();
  }).join();
  EXPECT_EQ(kept_record_buffers(), 0u);
}

}  // namespace
}  // namespace fairlead
