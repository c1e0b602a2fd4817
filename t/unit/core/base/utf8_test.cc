// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/utf8.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(Utf8, TheSizeOfACharacter) {
  EXPECT_EQ(utf8_character("a"), 1u);
  EXPECT_EQ(utf8_character("\u00e9x"), 2u);
  EXPECT_EQ(utf8_character("\u20ac"), 3u);
  EXPECT_EQ(utf8_character("\U0001f600"), 4u);
  for (const char* none :
       {"", "\x80", "\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xe2\x82"})
    EXPECT_EQ(utf8_character(none), 0u) << none;
}

TEST(Utf8, WhatIsNotIsReplacedByteByByte) {
  EXPECT_TRUE(is_utf8("plain \u00e9 \u20ac") && is_utf8(""));
  EXPECT_FALSE(is_utf8("x\xff"));
  EXPECT_EQ(as_utf8("a\xff\xc3\u00e9", '!'), "a!!\u00e9");
  EXPECT_EQ(as_utf8("a\u20ac", '!', 3), "a") << "whole characters";
  EXPECT_EQ(as_utf8("a\u20ac", '!', 4), "a\u20ac");
  EXPECT_EQ(as_utf8("\xff\xff", '!', 1), "!");
}

}  // namespace
}  // namespace fairlead
