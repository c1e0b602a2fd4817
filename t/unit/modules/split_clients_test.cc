// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Values and wordings were taken from nginx 1.22 with the same configuration.
#include "t/unit/core/conf/loaded.h"

namespace fairlead {

extern const Module split_clients_module;

namespace {

class SplitClientsTest : public testing::Test {
 protected:
  // $arg_* are test::inputs.
  std::string text(std::string_view client = "127.0.0.1") {
    return loaded_.evaluate(conf<test::texts::Conf>(loaded_.block({0})).text, client);
  }
  std::string error(std::string_view block) { return loaded_.load("http {\n" + std::string(block) + "\n}"); }
  test::Loaded loaded_{{&split_clients_module, &test::texts::module}};
};

TEST_F(SplitClientsTest, Values) {
  struct Case {
    std::string key;
    std::string_view want;
  };
  static const Case cases[] = {
      {"", ".one|b|a|a|$uri"},
      {"a", "|b||a|$nosuch"},
      {"127.0.0.1", "|c||a|$nosuch"},
      {"10.0.0.1", "|a||a|$nosuch"},
      {"u2", "|b|a|a|$uri"},
      {"u4", "|c|b|a|$uri"},
      {"u12", "|a||a|$uri"},
      {"u17", "|a|b|a|$uri"},
      // Keys whose hashes, named behind them, lie at the borders of shares.
      {"aabSxKKs", ".one|c|a|a|$uri"},  // 0
      {"aabfCXE0", "|b|||$nosuch"},  // 4294967295
      {"aaj58TJx", ".one|c|a|a|$uri"},  // 21474834
      {"aacj8TFU", ".one|b|a|a|$uri"},  // 21474835
      {"aadujem7", ".two|a|a|a|$uri"},  // 21474836
      {"aac4qPGD", ".two|a|a|a|$uri"},  // 21474837
      {"aad2cS04", ".two|c|a|a|$uri"},  // 107374179
      {"aajjb1NS", ".two|a|a|a|$uri"},  // 107374180
      {"aaaR36OP", "|b|a|a|$uri"},  // 107374181
      {"aatEJCm0", "|c|a|a|$uri"},  // 107374182
      {"aaaeamxB", "|a|a|a|$uri"},  // 429496727
      {"aakNBSxc", "|b|a|a|$uri"},  // 429496728
      {"aaa7Runw", "|a|b|a|$uri"},  // 429496729
      {"aacb6i06", "|c|b|a|$uri"},  // 429496730
      {"aanZ45Oy", "|b|b|a|$uri"},  // 1288490187
      {"aafMguPI", "|c||a|$uri"},  // 1288490188
      {"aaabC0Jt", "|b||a|$uri"},  // 1288490189
      {"aad3g8dD", "|c||a|$uri"},  // 1288490190
      {"aad4MNS2", "|c||a|$nosuch"},  // 4294537796
      {"aaoykne5", "|a||a|$nosuch"},  // 4294537797
      {"aafGH21m", "|a||b|$nosuch"},  // 4294537798
  };
  ASSERT_EQ(error(R"CONF(
    split_clients $arg_k $a { 0.5% .one; 2.0% .two; * ""; }
    split_clients "${arg_k}AAA" $b { 33.33% a; 33.33% b; 33.34% c; }
    split_clients $arg_k $c { 10% a; 20% b; }
    split_clients $arg_k $e { 99.99% a; 0.01% b; }
    split_clients $arg_k $f { 50% $uri; * "$nosuch"; }
    text "$a|$b|$c|$e|$f";)CONF"),
            "");
  for (const Case& c : cases) {
    test::inputs = {{"k", c.key}};
    EXPECT_EQ(text(), c.want) << c.key;
  }
}

TEST_F(SplitClientsTest, Wording) {
  struct Case {
    std::string_view block, want;
  };
  static constexpr Case cases[] = {
      {"split_clients a x { * a; }", "invalid variable name \"x\""},
      {"split_clients a { * a; }", "invalid number of arguments in \"split_clients\" directive"},
      {"split_clients a $x { 50% a; 60% b; }", "percent total is greater than 100%"},
      {"split_clients a $x { * a; 10% b; }", "percent total is greater than 100%"},
      {"split_clients a $x { 101% a; }", "percent total is greater than 100%"},
      {"split_clients a $x { 10 a; }", "invalid percent value \"10\""},
      {"split_clients a $x { 0% a; }", "invalid percent value \"0%\""},
      {"split_clients a $x { 0.001% a; }", "invalid percent value \"0.001%\""},
      {"split_clients a $x { x% a; }", "invalid percent value \"x%\""},
      {"split_clients a $x { % a; }", "invalid percent value \"%\""},
      {"split_clients a $x { .% a; }", "invalid percent value \".%\""},
      {"split_clients a $x { -1% a; }", "invalid percent value \"-1%\""},
      {"split_clients a $x { \"\" a; }", "invalid percent value \"\""},
      // nginx takes these two: the first reads an absent value, the second drops a word.
      {"split_clients a $x { 10%; }", "invalid number of the split_clients parameters"},
      {"split_clients a $x { 10% a b; }", "invalid number of the split_clients parameters"},
      {"split_clients $nosuch $x { * a; }", "unknown \"nosuch\" variable"},
  };
  for (const Case& c : cases) EXPECT_EQ(error(c.block), std::string(c.want) + " in CONF:2") << c.block;
  for (std::string_view block :
       {"split_clients a $x { 100% a; * b; }", "split_clients a $x { * a; * b; }", "split_clients a $x { .5% a; 5.% b; }",
                                 "split_clients a $x {}"})
    EXPECT_EQ(error(block), "") << block;
}

}  // namespace
}  // namespace fairlead
