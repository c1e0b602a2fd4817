// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/percent.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(Percent, TwoDecimalsAtMostAndMoreThanNothing) {
  EXPECT_EQ(parse_percent("100%"), 10'000u);
  EXPECT_EQ(parse_percent("12.5%"), 1250u);
  EXPECT_EQ(parse_percent("0.01%"), 1u);
  EXPECT_EQ(parse_percent(".5%"), 50u);
  EXPECT_EQ(parse_percent("150%"), 15'000u);
  for (const char* text : {"", "%", ".%", "0%", "0.00%", "0.001%", "1", "1.5", "-1%", "1 %", "x%", "1.x%", "99999999999999999999%"})
    EXPECT_FALSE(parse_percent(text)) << text;
}

}  // namespace
}  // namespace fairlead
