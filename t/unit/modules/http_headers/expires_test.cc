// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_headers/expires.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

namespace fairlead::http_headers {
namespace {

constexpr int64_t now = 1'000'000'000;  // 2001-09-09 01:46:40 UTC

TEST(Expires, Forms) {
  EXPECT_EQ(parse_expires("1h", false)->seconds, 3600);
  EXPECT_EQ(parse_expires("+1d", false)->seconds, 86400);
  EXPECT_EQ(parse_expires("-5", false)->seconds, -5);
  EXPECT_EQ(parse_expires("1y", true)->kind, ExpiresKind::modified);
  EXPECT_EQ(parse_expires("@15h30m", false)->seconds, 55800);
  EXPECT_EQ(parse_expires("off", false)->kind, ExpiresKind::off);
  for (std::string_view text : {"", "x", "+", "--1", "@", "@+1h", "1ms", "maximum"}) EXPECT_FALSE(parse_expires(text, false)) << text;
  EXPECT_FALSE(parse_expires("max", true));
  EXPECT_EQ(parse_expires("@1h", true).error(), "daily time cannot be used with \"modified\" parameter");
  EXPECT_EQ(parse_expires("@25h", false).error(), "daily time value must be less than 24 hours");
}

TEST(Expires, Arithmetic) {
  Freshness fresh = freshness_of({ExpiresKind::access, 60}, now, 500);
  EXPECT_EQ(fresh.expires, now + 60);
  EXPECT_EQ(fresh.max_age, 60);
  EXPECT_FALSE(fresh.no_cache);
  fresh = freshness_of({ExpiresKind::modified, 60}, now, now - 100);
  EXPECT_EQ(fresh.expires, now - 40);
  EXPECT_TRUE(fresh.no_cache);
  EXPECT_EQ(freshness_of({ExpiresKind::modified, 60}, now, -1).max_age, 60);
  EXPECT_EQ(freshness_of({ExpiresKind::modified, 0}, now, now - 100).max_age, 0);
  EXPECT_TRUE(freshness_of({ExpiresKind::access, -1}, now, -1).no_cache);
}

TEST(Expires, TimeOfDayIsTheNextLocalOne) {
  setenv("TZ", "UTC", 1);
  tzset();
  EXPECT_EQ(freshness_of({ExpiresKind::daily, 2 * 3600}, now, -1).expires, 1'000'000'800);
  EXPECT_EQ(freshness_of({ExpiresKind::daily, 3600}, now, -1).expires, 1'000'000'800 - 3600 + 86400);
  // New York's clocks went forward in the night of 2001-04-01: the day has 23 hours.
  setenv("TZ", "America/New_York", 1);
  tzset();
  EXPECT_EQ(freshness_of({ExpiresKind::daily, 12 * 3600}, 986058000, -1).expires % 86400, 16 * 3600);
}

}  // namespace
}  // namespace fairlead::http_headers
