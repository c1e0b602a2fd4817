// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/conduct.h"

#include <gtest/gtest.h>

namespace fairlead::http::h2 {
namespace {

TEST(Tokens, RunOutAndComeBackWithTime) {
  Tokens tokens(10);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(tokens.take(5000));
  EXPECT_FALSE(tokens.take(5000));
  EXPECT_FALSE(tokens.take(5999));
  EXPECT_TRUE(tokens.take(6000));  // a tenth in a second
  EXPECT_FALSE(tokens.take(6000));
  EXPECT_TRUE(tokens.take(1'000'000'000));
}

TEST(Tokens, NeverHoldMoreThanTheirMost) {
  Tokens tokens(3);
  tokens.give(100);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(tokens.take(0));
  EXPECT_FALSE(tokens.take(0));
}

ConductLimits limits() { return {.resets_max = 5, .control_frames_max = 7, .refused_max = 2}; }

TEST(Conduct, CountsEachOffenceByItsOwnLimit) {
  Conduct conduct(limits());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(conduct.reset(1));
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(conduct.control_frame(1));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(conduct.refused());
  EXPECT_EQ(conduct.violation(), nullptr);
  EXPECT_FALSE(conduct.refused());
  EXPECT_STREQ(conduct.violation(), "too many streams were refused");
  EXPECT_FALSE(conduct.reset(1));
  EXPECT_STREQ(conduct.violation(), "too many streams were refused");  // the first one stays
}

TEST(Conduct, AnsweredRequestsPayForResets) {
  Conduct conduct(limits());
  for (int i = 0; i < 100; ++i) {
    conduct.answered();
    EXPECT_TRUE(conduct.reset(1));
  }
}

TEST(Conduct, ContinuationsAreCountedPerHead) {
  Conduct conduct(limits());
  for (int head = 0; head < 3; ++head) {
    conduct.head_begins();
    for (int i = 0; i < 16; ++i) EXPECT_TRUE(conduct.continuation());
  }
  EXPECT_FALSE(conduct.continuation());
}

TEST(Conduct, FramesMustCarryAnEighthBeyondOneMegabyte) {
  Conduct conduct(limits());
  EXPECT_TRUE(conduct.bytes(8 * 1024 * 1024, 0));
  EXPECT_FALSE(conduct.bytes(8, 0));
  Conduct useful(limits());
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(useful.bytes(80'000, 10'000));
}

}  // namespace
}  // namespace fairlead::http::h2
