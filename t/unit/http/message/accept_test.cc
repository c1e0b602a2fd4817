// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/accept.h"

#include <gtest/gtest.h>

namespace fairlead::http {
namespace {

TEST(AcceptsGzip, ByName) {
  for (std::string_view text : {"gzip", "GZip", "deflate, gzip", "gzip,br", " gzip ", "br,,gzip", "identity;q=0,gzip"})
    EXPECT_TRUE(accepts_gzip(text)) << text;
  for (std::string_view text : {"", "*", "x-gzip", "gzipx", "gzi", "br", "deflate;gzip", "\"gzip\""})
    EXPECT_FALSE(accepts_gzip(text)) << text;
}

TEST(AcceptsGzip, ByQuality) {
  for (std::string_view q : {"1", "1.", "1.0", "1.00", "1.000", "0.1", "0.01", "0.001", "0.999"})
    EXPECT_TRUE(accepts_gzip("gzip;q=" + std::string(q))) << q;
  for (std::string_view q : {"0", "0.", "0.0", "0.000", "", "2", "1.1", "1.001", "0.0001", "-1", "x", "0,5", ".5", "1.0000"})
    EXPECT_FALSE(accepts_gzip("gzip;q=" + std::string(q))) << q;
  EXPECT_TRUE(accepts_gzip("gzip ; Q = 0.5"));
  EXPECT_TRUE(accepts_gzip("gzip;x=1;q=1"));
  EXPECT_FALSE(accepts_gzip("gzip;x=1;q=0"));
  EXPECT_FALSE(accepts_gzip("gzip;q=0,gzip"));  // the first word counts
}

}  // namespace
}  // namespace fairlead::http
