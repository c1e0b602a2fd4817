// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/lru_cache.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(LruCache, TheOneUnusedForLongestLeaves) {
  LruCache<int> cache(2, 7);
  cache.put("a", 1);
  cache.put("b", 2);
  ASSERT_NE(cache.find("a"), nullptr);
  EXPECT_EQ(*cache.find("a"), 1);
  cache.put("c", 3);
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_EQ(*cache.find("a"), 1);
  EXPECT_EQ(*cache.find("c"), 3);
  EXPECT_EQ(cache.size(), 2u);
}

TEST(LruCache, AnotherValueTakesThePlace) {
  LruCache<std::string> cache(2);
  cache.put("a", "one");
  cache.put("b", "two");
  cache.put("a", "three");
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(*cache.find("a"), "three");
  cache.put("c", "four");
  EXPECT_EQ(cache.find("b"), nullptr) << "put is a use";
  cache.remove("a");
  cache.remove("a");
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(LruCache, OfNone) {
  LruCache<int> cache(0);
  cache.put("a", 1);
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(LruCache, ManyKeys) {
  LruCache<int> cache(100);
  for (int i = 0; i < 1000; ++i) cache.put(std::to_string(i), i);
  EXPECT_EQ(cache.size(), 100u);
  for (int i = 0; i < 1000; ++i) {
    int* value = cache.find(std::to_string(i));
    EXPECT_EQ(value != nullptr, i >= 900);
    if (value) {
      EXPECT_EQ(*value, i);
    }
  }
}

}  // namespace
}  // namespace fairlead
