// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_range/ranges.h"

#include <gtest/gtest.h>

namespace fairlead::http_range {
namespace {

struct Parsed {
  Outcome outcome;
  std::vector<Range> ranges;
};
Parsed parse(std::string_view text, uint64_t length = 100, uint64_t most = UINT64_MAX) {
  Parsed parsed;
  parsed.outcome = parse_ranges(text, length, most, parsed.ranges);
  return parsed;
}
using Ranges = std::vector<Range>;

TEST(Ranges, OneRangeIsCutToTheLength) {
  EXPECT_EQ(parse("0-0").ranges, (Ranges{{0, 1}}));
  EXPECT_EQ(parse("10-").ranges, (Ranges{{10, 100}}));
  EXPECT_EQ(parse("99-99").ranges, (Ranges{{99, 100}}));
  EXPECT_EQ(parse("50-1000").ranges, (Ranges{{50, 100}}));
  EXPECT_EQ(parse("-1").ranges, (Ranges{{99, 100}}));
  EXPECT_EQ(parse("-100").ranges, (Ranges{{0, 100}}));
  EXPECT_EQ(parse("-101").ranges, (Ranges{{0, 100}}));
  EXPECT_EQ(parse(" 3 - 5 ").ranges, (Ranges{{3, 6}}));
  EXPECT_EQ(parse("0-18446744073709551615").ranges, (Ranges{{0, 100}}));
}

TEST(Ranges, SeveralKeepTheirOrderAndMissesAreLeftOut) {
  EXPECT_EQ(parse("5-6,0-1, -2").ranges, (Ranges{{5, 7}, {0, 2}, {98, 100}}));
  EXPECT_EQ(parse("100-,1-2").ranges, (Ranges{{1, 3}}));
  EXPECT_EQ(parse("7-5,1-2").ranges, (Ranges{{1, 3}}));
}

TEST(Ranges, WhatTouchesNothingOrIsMalformedIsUnsatisfiable) {
  for (std::string_view text : {"100-", "100-200", "-0", "", "-", "x", "5", "1-x", "x-1", "1--2", "--2", "1-2,", ",1-2", "1-2,,3-4",
                                "1-2;q", "+1-2",
                                "18446744073709551616-", "1-18446744073709551616", "0x1-2", "1-2 3"})
    EXPECT_EQ(parse(text).outcome, Outcome::unsatisfiable) << text;
  EXPECT_EQ(parse("1-", 0).outcome, Outcome::unsatisfiable);
}

TEST(Ranges, TooMuchIsTheWhole) {
  EXPECT_EQ(parse("0-0,1-1", 100, 1).outcome, Outcome::whole);
  EXPECT_EQ(parse("0-0,200-", 100, 1).outcome, Outcome::ok);
  EXPECT_EQ(parse("0-99,0-0").outcome, Outcome::whole);
  EXPECT_EQ(parse("0-49,50-99").outcome, Outcome::ok);
  EXPECT_EQ(parse("0-", 0).outcome, Outcome::whole);
}

TEST(Ranges, NoRangeLeavesTheContent) {
  for (uint64_t length = 0; length < 6; ++length)
    for (int first = -1; first < 8; ++first)
      for (int last = -1; last < 8; ++last) {
        std::string text = (first < 0 ? "" : std::to_string(first)) + "-" + (last < 0 ? "" : std::to_string(last));
        for (const Range& range : parse(text, length).ranges) {
          EXPECT_LT(range.begin, range.end) << text;
          EXPECT_LE(range.end, length) << text;
        }
      }
}

}  // namespace
}  // namespace fairlead::http_range
