// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_slice/content_range.h"

#include <gtest/gtest.h>

namespace fairlead::http_slice {
namespace {

TEST(ContentRange, Good) {
  for (std::string_view text : {"bytes 5-9/100", "Bytes  5 - 9 / 100"}) {
    auto range = parse_content_range(text);
    ASSERT_TRUE(range) << text;
    EXPECT_TRUE(range->begin == 5 && range->end == 10 && range->length == 100) << text;
  }
  EXPECT_TRUE(parse_content_range("bytes 0-9223372036854775806/9223372036854775807"));
}

TEST(ContentRange, Bad) {
  for (std::string_view text : {"", "bytes", "bytes ", "bytes */100", "bytes 0-9/*", "bytes 0-9", "bytes 9/0-9", "bytes 5-4/100",
                                "bytes 0-100/100",
                                "bytes -9/100", "bytes 0-/100", "lines 0-9/100", "bytes 0-9/18446744073709551616",
                                "bytes 0-9/9223372036854775808",
                                "bytes x-9/100", "bytes 0-9/100x"})
    EXPECT_FALSE(parse_content_range(text)) << text;
}

TEST(RangeStart, OfOneRange) {
  EXPECT_EQ(range_start("bytes=500-600"), 500u);
  EXPECT_EQ(range_start("BYTES= 500 -"), 500u);
  EXPECT_EQ(range_start("bytes=9223372036854775806-"), 9223372036854775806u);
  for (std::string_view text : {"", "bytes=-500", "bytes=1-2,500-600", "lines=500-600", "bytes=x-", "bytes=18446744073709551616-",
                                "bytes=18446744073709551615-", "bytes=9223372036854775807-"})
    EXPECT_EQ(range_start(text), 0u) << text;
}

}  // namespace
}  // namespace fairlead::http_slice
