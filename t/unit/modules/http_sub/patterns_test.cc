// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_sub/patterns.h"

#include <gtest/gtest.h>

#include <random>

#include "core/base/text.h"

namespace fairlead::http_sub {
namespace {

using Kind = Patterns::Found::Kind;

Patterns make(std::initializer_list<std::string_view> texts) {
  Patterns patterns;
  for (std::string_view text : texts) patterns.add(text);
  patterns.finish();
  return patterns;
}

void expect(const Patterns& patterns, std::string_view text, Kind kind, size_t at, size_t index = 0) {
  Patterns::Found found = patterns.find(text, 0, {});
  EXPECT_EQ(found.kind, kind) << text;
  EXPECT_EQ(found.at, at) << text;
  EXPECT_EQ(found.index, index) << text;
}

TEST(Patterns, OfTwoAtOnePlaceTheFirstCounts) {
  expect(make({"ab", "abc"}), "xabc", Kind::match, 1, 0);
  expect(make({"abc", "ab"}), "xabc", Kind::match, 1, 0);
  expect(make({"abc", "ab"}), "xabd", Kind::match, 1, 1);
  expect(make({"abc", "ab"}), "xab", Kind::partial, 1, 0);
  expect(make({"ab", "abc"}), "xab", Kind::match, 1, 0);
}

TEST(Patterns, CaseDoesNotMatter) {
  expect(make({"HeLLo"}), "say hEllO", Kind::match, 4);
  expect(make({"\xc4"}), "\xe4", Kind::none, 1);  // ASCII only
}

TEST(Patterns, WhatIsHeldBackIsTheEarliestBegin) {
  Patterns patterns = make({"aabaac"});
  expect(patterns, "", Kind::none, 0);
  expect(patterns, "xxxx", Kind::none, 4);
  expect(patterns, "xxa", Kind::partial, 2);
  expect(patterns, "aabaa", Kind::partial, 0);
  expect(patterns, "aabaab", Kind::partial, 3);
  expect(patterns, "aabaabaac", Kind::match, 3);
}

TEST(Patterns, UsedOnesAreNotLookedFor) {
  Patterns patterns = make({"a", "b"});
  Patterns::Found found = patterns.find("ab", 0, {true, false});
  EXPECT_EQ(found.at, 1u);
  EXPECT_EQ(found.index, 1u);
}

TEST(Patterns, LongerThanTheTableCanSay) {
  std::string text(300, 'x');
  text.back() = 'y';
  expect(make({text}), "x" + text, Kind::match, 1);
  expect(make({text}), text.substr(0, 299), Kind::partial, 0);
}

// Against the plainest search there is.
TEST(Patterns, AgreesWithTrying) {
  std::mt19937 random(5);
  auto letters = [&](size_t most) {
    std::string text(random() % most, 'a');
    for (char& c : text) c = static_cast<char>("abAB"[random() % 4]);
    return text;
  };
  for (int turn = 0; turn < 20000; ++turn) {
    std::vector<std::string> texts;
    Patterns patterns;
    for (size_t i = 0, count = 1 + random() % 3; i < count; ++i) {
      texts.push_back("a" + letters(5));
      patterns.add(texts.back());
    }
    patterns.finish();
    std::string text = letters(14);
    Patterns::Found want{Kind::none, text.size(), 0};
    for (size_t at = 0; at < text.size() && want.kind == Kind::none; ++at) {
      for (size_t i = 0; i < texts.size() && want.kind == Kind::none; ++i) {
        std::string_view rest = std::string_view(text).substr(at);
        if (starts_with_nocase(rest, texts[i])) want = {Kind::match, at, i};
        else if (rest.size() < texts[i].size() && starts_with_nocase(texts[i], rest)) want = {Kind::partial, at, i};
      }
    }
    Patterns::Found got = patterns.find(text, 0, {});
    ASSERT_TRUE(got.kind == want.kind && got.at == want.at && got.index == want.index) << text << " " << texts[0];
  }
}

}  // namespace
}  // namespace fairlead::http_sub
