// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/error.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace fairlead {
namespace {

TEST(Error, FromErrno) {
  Error error = Error::from_errno(ECONNRESET, "recv()", Side::upstream);
  EXPECT_EQ(error.fault, Fault::reset);
  EXPECT_EQ(error.side, Side::upstream);
  EXPECT_EQ(error.sys, ECONNRESET);
  EXPECT_STREQ(error.what, "recv()");
  EXPECT_EQ(Error::from_errno(ECONNREFUSED, "").fault, Fault::refused);
  EXPECT_EQ(Error::from_errno(ETIMEDOUT, "").fault, Fault::timeout);
  EXPECT_EQ(Error::from_errno(EMFILE, "").fault, Fault::exhausted);
  EXPECT_EQ(Error::from_errno(EINVAL, "").fault, Fault::system);
}

Result<std::unique_ptr<int>> half(int number) {
  if (number % 2) return Error{Fault::malformed, Side::client, 0, "odd"};
  return std::make_unique<int>(number / 2);
}

TEST(Result, ValueAndError) {
  Result<std::unique_ptr<int>> good = half(4);
  ASSERT_TRUE(good);
  EXPECT_EQ(**good, 2);
  Result<std::unique_ptr<int>> bad = half(3);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().fault, Fault::malformed);
  bad = std::move(good);
  ASSERT_TRUE(bad);
  EXPECT_EQ(**bad, 2);
  bad = half(5);
  EXPECT_FALSE(bad.ok());
}

TEST(Result, CopiesOwnWhatTheyHold) {
  Result<std::string> value = std::string(100, 'v');
  Result<std::string> copy = value;
  value = Error{Fault::closed, Side::local, 0, ""};
  EXPECT_EQ(copy->size(), 100u);
  EXPECT_EQ(value.error().fault, Fault::closed);
  copy = value;
  EXPECT_FALSE(copy);
}

ConfResult<int> first_failing(int which) {
  for (int i = 0; i < 3; ++i) {
    FL_TRY(i == which ? ConfResult<>("step " + std::to_string(i)) : ConfResult<>(Unit()));
  }
  return 7;
}

TEST(Result, TryReturnsTheError) {
  EXPECT_EQ(*first_failing(9), 7);
  EXPECT_EQ(first_failing(1).error(), "step 1");
}

TEST(ResultDeathTest, ReadingTheWrongOne) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(*half(3), "assertion failed");
  EXPECT_DEATH(half(2).error(), "assertion failed");
}

}  // namespace
}  // namespace fairlead
