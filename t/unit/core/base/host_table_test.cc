// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/host_table.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(HostTable, ExactThenTheLongestWildcard) {
  HostTable<int> table;
  EXPECT_TRUE(table.empty());
  int number = 0;
  for (std::string_view name : {"a.example.com", "*.example.com", "*.b.example.com", ".both.test", "www.*",
                                "www.x.*"}) ASSERT_TRUE(table.add(name, ++number));
  EXPECT_FALSE(table.empty());
  for (auto [name, want] : {std::pair<std::string_view, int>{"a.example.com", 1}, {"c.example.com", 2}, {"c.b.example.com", 3},
                            {"both.test", 4}, {"x.both.test", 4},
                            {"www.org", 5}, {"www.x.org", 6}, {"example.com", 0}, {"", 0}, {"www", 0}, {"com", 0}}) {
    const int* found = table.find(name);
    EXPECT_EQ(found ? *found : 0, want) << name;
  }
}

TEST(HostTable, NamesThatAreNone) {
  HostTable<int> table;
  for (std::string_view name : {"a..b", "*", "a*b", "*.a.*", "a.*.b", "*.*"}) EXPECT_FALSE(table.add(name, 1)) << name;
  ASSERT_TRUE(table.add("a.test", 1));
  EXPECT_EQ(table.add("a.test", 2).error(), "conflicting parameter \"a.test\"");
  EXPECT_TRUE(table.add_exact("*", 3));
  EXPECT_EQ(*table.find("*"), 3);
}

}  // namespace
}  // namespace fairlead
