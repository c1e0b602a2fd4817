// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/list.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace fairlead {
namespace {

struct Item : Link {
  explicit Item(int n) : number(n) {}
  int number;
};

std::vector<int> numbers(const List<Item>& list) {
  std::vector<int> all;
  for (Item* item = list.front(); item; item = list.next(*item)) all.push_back(item->number);
  return all;
}

using Numbers = std::vector<int>;

TEST(List, Order) {
  Item a(1), b(2), c(3);
  List<Item> list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.front(), nullptr);
  EXPECT_EQ(list.back(), nullptr);
  EXPECT_EQ(list.pop_front(), nullptr);
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  EXPECT_EQ(numbers(list), (Numbers{1, 2, 3}));
  EXPECT_EQ(list.front(), &a);
  EXPECT_EQ(list.back(), &c);
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_FALSE(a.linked());
  list.push_back(a);
  EXPECT_EQ(numbers(list), (Numbers{2, 3, 1}));
}

TEST(List, ElementsLeaveByThemselves) {
  List<Item> list;
  Item a(1);
  auto b = std::make_unique<Item>(2);
  Item c(3);
  list.push_back(a);
  list.push_back(*b);
  list.push_back(c);
  b.reset();
  EXPECT_EQ(numbers(list), (Numbers{1, 3}));
  c.unlink();
  c.unlink();  // without effect
  EXPECT_EQ(numbers(list), (Numbers{1}));
  a.unlink();
  EXPECT_TRUE(list.empty());
}

TEST(List, AppendMovesAll) {
  List<Item> list, other;
  Item a(1), b(2), c(3);
  list.append(other);
  EXPECT_TRUE(list.empty());
  other.push_back(b);
  other.push_back(c);
  list.push_back(a);
  list.append(other);
  EXPECT_TRUE(other.empty());
  EXPECT_EQ(numbers(list), (Numbers{1, 2, 3}));
  other.append(list);
  EXPECT_EQ(numbers(other), (Numbers{1, 2, 3}));
  EXPECT_EQ(other.back(), &c);
}

TEST(List, DyingListLetsGo) {
  Item a(1), b(2);
  {
    List<Item> list;
    list.push_back(a);
    list.push_back(b);
  }
  EXPECT_FALSE(a.linked());
  EXPECT_FALSE(b.linked());
  List<Item> list;
  list.push_back(b);
  EXPECT_EQ(numbers(list), (Numbers{2}));
}

TEST(ListDeathTest, OneListAtATime) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Item a(1);
  List<Item> list, other;
  list.push_back(a);
  EXPECT_DEATH(other.push_back(a), "assertion failed");
}

}  // namespace
}  // namespace fairlead
