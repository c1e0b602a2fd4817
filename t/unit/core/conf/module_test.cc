// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/module.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(list.nearest("smae", in_http), "same");
  EXPECT_EQ(list.nearest("smae", in_main), "");
  EXPECT_EQ(list.nearest("other", in_http), "");
}

}  // namespace
}  // namespace fairlead
