// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_charset/charset_map.h"

#include <gtest/gtest.h>

namespace fairlead::http_charset {
namespace {

using Way = CharsetMap::Way;

TEST(FirstCharacter, Good) {
  for (auto [text, number] : {std::pair<std::string_view, char32_t>{"a", 'a'}, {"\xc2\x80", 0x80}, {"\xdf\xbf", 0x7ff},
                              {"\xe0\xa0\x80", 0x800}, {"\xef\xbf\xbf", 0xffff},
                              {"\xf0\x90\x80\x80", 0x10000}, {"\xf4\x8f\xbf\xbf", 0x10ffff}}) {
    Character character = first_character(text);
    EXPECT_EQ(character.number, number);
    EXPECT_EQ(character.bytes, text.size());
    for (size_t cut = 1; cut < text.size(); ++cut) EXPECT_EQ(first_character(text.substr(0, cut)).bytes, 0u);
  }
}

TEST(FirstCharacter, Bad) {
  for (auto [text, bytes] : {std::pair<std::string_view, size_t>{"\x80", 1}, {"\xc0\xaf", 1}, {"\xc1\xbf", 1}, {"\xff", 1},
                             {"\xf8\x88\x80\x80\x80", 1}, {"\xc3<", 1},
                             {"\xe2\x82<", 2}, {"\xe0\x80\xaf", 3}, {"\xf0\x80\x80\xaf", 4}, {"\xf4\x90\x80\x80", 4}}) {
    Character character = first_character(text);
    EXPECT_EQ(character.number, bad_character);
    EXPECT_EQ(character.bytes, bytes);
  }
}

TEST(CharsetMap, ThereAndBack) {
  CharsetMap map("koi8-r", "utf-8");
  ASSERT_TRUE(map.add("C1", "D0B0"));
  ASSERT_TRUE(map.add("80", "E29480"));
  EXPECT_EQ(map.way("KOI8-R", "UTF-8"), Way::forward);
  EXPECT_EQ(map.way("utf-8", "koi8-r"), Way::backward);
  EXPECT_EQ(map.way("utf-8", "utf-8"), Way::none);
  std::string text, back;
  std::string_view rest;
  map.recode(Way::forward, "a\xc1\x80\xc2", text, rest);
  EXPECT_EQ(text, "a\xd0\xb0\xe2\x94\x80?");
  map.recode(Way::backward, "\xd0\xb0\xe2\x94\x80\xd0\xb1<\xff\xe2\x94", back, rest);
  EXPECT_EQ(back, "\xc1\x80&#1073;<?");
  EXPECT_EQ(rest, "\xe2\x94");
}

TEST(CharsetMap, SingleBytes) {
  CharsetMap map("a", "b");
  ASSERT_TRUE(map.add("c1", "E0"));
  std::string text;
  std::string_view rest;
  map.recode(Way::forward, "x\xc1\xc2", text, rest);
  map.recode(Way::backward, "\xe0\xe1", text, rest);
  EXPECT_EQ(text, "x\xe0?\xc1?");
  for (auto [from, to] : {std::pair<std::string_view, std::string_view>{"", "1"}, {"1", ""}, {"123", "1"}, {"1", "123"},
                          {"g", "1"}}) EXPECT_FALSE(map.add(from, to));
}

}  // namespace
}  // namespace fairlead::http_charset
