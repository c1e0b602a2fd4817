// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/module.h"

#include <gtest/gtest.h>

#include "core/conf/block.h"
#include "core/conf/value.h"

namespace fairlead {
namespace {

struct ConfA {
  bool x = false;
};
struct ConfB {
  bool y = false;
};
template <class Conf, auto Member>
constexpr std::array<Directive, 1> row(std::string_view name, uint32_t contexts) {
  return {slot<Conf, Member>(name, contexts)};
}
constexpr auto rows_a = row<ConfA, &ConfA::x>("same", in_http);
constexpr auto rows_b = row<ConfB, &ConfB::y>("same", in_stream);
constexpr auto rows_clash = row<ConfB, &ConfB::y>("same", in_http_any);
constexpr std::string_view after_b[] = {"b", "not_there"};
constexpr std::string_view after_c[] = {"c"};
constexpr std::string_view after_a[] = {"a"};
constinit const Module a = {.name = "a", .conf = conf_of<ConfA>, .directives = rows_a, .after = after_b};
constinit const Module b = {.name = "b", .conf = conf_of<ConfB>, .directives = rows_b, .after = after_c};
constinit const Module c = {.name = "c"};
constinit const Module cyclic = {.name = "c", .after = after_a};
constinit const Module clash = {.name = "d", .directives = rows_clash};

ConfResult<Unit> set_nothing(Line&, ConfA&) { return Unit(); }

std::string order(const ModuleList& list) {
  std::string names;
  for (const Module* module : list.all()) names += module->name;
  return names;
}

TEST(ModuleList, RunningOrder) {
  ModuleList list;
  ASSERT_TRUE(list.assign({&a, &b, &c}));
  EXPECT_EQ(order(list), "cba");
  EXPECT_EQ(conf_index<ConfA>, 2);
  EXPECT_EQ(conf_index<ConfB>, 1);
  // Without c its edge means nothing, and names decide.
  ASSERT_TRUE(list.assign({&b, &a}));
  EXPECT_EQ(order(list), "ba");
  EXPECT_EQ(list.find("a"), &a);
  EXPECT_EQ(list.find("c"), nullptr);
}

TEST(ModuleList, Refused) {
  ModuleList list;
  EXPECT_EQ(list.assign({&a, &b, &cyclic}).error(), "module \"a\" runs after itself");
  EXPECT_EQ(list.assign({&b, &b}).error(), "module \"b\" is there twice");
  EXPECT_EQ(list.assign({&a, &clash}).error(), "directive \"same\" is there twice for one context");
}

TEST(ModuleList, Rows) {
  ModuleList list;
  ASSERT_TRUE(list.assign({&a, &b, &c}));
  EXPECT_EQ(list.rows("same").size(), 2u);
  EXPECT_TRUE(list.rows("sam").empty());
  Arena::Owner arena = Arena::open(1024);
  Block main(nullptr, in_main, {}, *arena), http(&main, in_http, {}, *arena);
  EXPECT_EQ(list.nearest("smae", http), "same");
  EXPECT_EQ(list.nearest("smae", main), "");
  EXPECT_EQ(list.nearest("other", http), "");
}

// Two modules with blocks of their own do not see each other's rows, though the contexts are the same.
TEST(ModuleList, RowsOfOwnBlocks) {
  static constexpr Directive of_d[] = {custom<set_nothing, ConfA>("inside", in_own_block, words(0))};
  static constexpr Directive of_e[] = {custom<set_nothing, ConfA>("inside", in_own_block | in_own_inner_block, words(0)),
                                       custom<set_nothing, ConfA>("further", in_own_inner_block, words(0))};
  static constexpr Directive twice[] = {custom<set_nothing, ConfA>("inside", in_own_block, words(0)),
                                        custom<set_nothing, ConfA>("inside", in_own_block, words(0))};
  static constexpr Module d = {.name = "d", .directives = of_d}, e = {.name = "e", .directives = of_e};
  static constexpr Module f = {.name = "f", .directives = twice};
  ModuleList list;
  ASSERT_TRUE(list.assign({&d, &e}));
  Arena::Owner arena = Arena::open(1024);
  Block main(nullptr, in_main, {}, *arena), own(&main, in_own_block, {}, *arena);
  own.set_owner(1);
  std::span<const ModuleList::Row> rows = list.rows("inside");
  ASSERT_EQ(rows.size(), 2u);
  for (const ModuleList::Row& row : rows) EXPECT_EQ(row.may_stand_in(own), row.module == 1);
  EXPECT_FALSE(list.rows("further")[0].may_stand_in(own));
  EXPECT_EQ(list.nearest("insied", own), "inside");
  own.set_owner(0);
  EXPECT_EQ(list.nearest("furthre", own), "");
  EXPECT_EQ(list.assign({&f}).error(), "directive \"inside\" is there twice for one context");
}

}  // namespace
}  // namespace fairlead
