// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/block_end.h"

#include <gtest/gtest.h>

namespace fairlead::lua {
namespace {

// The text before the brace that ends the block, or "?".
std::string inside(std::string_view rest) {
  auto end = block_end(rest);
  return end ? std::string(rest.substr(0, *end - 1)) : "?";
}

TEST(BlockEnd, IsTheMatchingBrace) {
  EXPECT_EQ(inside("} rest }"), "");
  EXPECT_EQ(inside(" local t = {a = {}} } }"), " local t = {a = {}} ");
}

TEST(BlockEnd, BracesInStringsDoNotCount) {
  EXPECT_EQ(inside(R"(a = "}" b = '}' c = "\"}" } x)"), R"(a = "}" b = '}' c = "\"}" )");
  EXPECT_EQ(inside("a = [[ } ]] b = [==[ } ]=] ]] ]==] } x"), "a = [[ } ]] b = [==[ } ]=] ]] ]==] ");
}

TEST(BlockEnd, BracesAndQuotesInCommentsDoNotCount) {
  EXPECT_EQ(inside("-- it's } here\n} x"), "-- it's } here\n");
  EXPECT_EQ(inside("--[[ it's }\n } ]] } x"), "--[[ it's }\n } ]] ");
  EXPECT_EQ(inside("--[=[ ]] } ]=] } x"), "--[=[ ]] } ]=] ");
  EXPECT_EQ(inside("a = b--[c\n} x"), "a = b--[c\n");
}

TEST(BlockEnd, BracketsThatOpenNothing) { EXPECT_EQ(inside("a[1] = t[ [[x]] ] b = a[=1] } x"), "a[1] = t[ [[x]] ] b = a[=1] "); }

TEST(BlockEnd, AStringEndsWithItsLine) { EXPECT_EQ(inside("a = 'x\n} y"), "a = 'x\n"); }

TEST(BlockEnd, MayBeMissing) {
  for (std::string_view text : {"", "{ }", "a = '}", "--[[ }", "[[ }", "-- }", "\"\\"}) EXPECT_EQ(inside(text), "?") << text;
}

}  // namespace
}  // namespace fairlead::lua
