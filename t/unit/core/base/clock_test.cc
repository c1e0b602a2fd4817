// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/clock.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

namespace fairlead {
namespace {

constexpr int64_t example = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110
constexpr int64_t year_2026 = 1767225600;

std::string http_date_of(int64_t seconds) {
  char text[http_date_size];
  format_http_date(seconds, text);
  return std::string(text, sizeof(text));
}

void set_zone(const char* zone) {
  setenv("TZ", zone, 1);
  tzset();
}

TEST(Clock, RealTime) {
  Clock clock;
  clock.update();
  EXPECT_LE(std::abs(clock.wall_ms() - int64_t{time(nullptr)} * 1000), 1500);
  EXPECT_EQ(clock.seconds(), clock.wall_ms() / 1000);
  uint64_t before = clock.now_ms();
  int64_t wall_before = clock.wall_ms();
  timespec pause{0, 20'000'000};
  nanosleep(&pause, nullptr);
  EXPECT_EQ(clock.now_ms(), before);  // cached
  clock.update();
  EXPECT_GE(clock.now_ms(), before + 20);
  EXPECT_GE(clock.wall_ms(), wall_before + 19);
}

TEST(Clock, TextsInUtc) {
  set_zone("UTC0");
  Clock clock;
  clock.set_virtual(example * 1000 + 45);
  clock.update();  // without effect
  EXPECT_EQ(clock.now_ms(), static_cast<uint64_t>(example * 1000 + 45));
  EXPECT_EQ(clock.seconds(), example);
  EXPECT_EQ(clock.http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(clock.log_time(), "06/Nov/1994:08:49:37 +0000");
  EXPECT_EQ(clock.iso8601(), "1994-11-06T08:49:37+00:00");
  EXPECT_EQ(clock.error_log_time(), "1994/11/06 08:49:37");
  EXPECT_EQ(clock.syslog_time(), "Nov  6 08:49:37");
  EXPECT_EQ(clock.msec(), "784111777.045");
  clock.set_virtual((example + 86400 * 6) * 1000);
  EXPECT_EQ(clock.http_date(), "Sat, 12 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(clock.syslog_time(), "Nov 12 08:49:37");
  EXPECT_EQ(clock.msec(), "784630177.000");
  clock.set_real();
  EXPECT_GT(clock.seconds(), year_2026 - 86400 * 365 * 3);
}

TEST(Clock, LocalZones) {
  Clock clock;
  clock.set_virtual(example * 1000);
  set_zone("XXX-05:30");  // POSIX: east of Greenwich is negative
  EXPECT_EQ(clock.log_time(), "06/Nov/1994:14:19:37 +0530");
  EXPECT_EQ(clock.iso8601(), "1994-11-06T14:19:37+05:30");
  set_zone("XXX09:30");
  clock.set_virtual((example + 1) * 1000);
  EXPECT_EQ(clock.log_time(), "05/Nov/1994:23:19:38 -0930");
  EXPECT_EQ(clock.iso8601(), "1994-11-05T23:19:38-09:30");
  EXPECT_EQ(clock.http_date(), "Sun, 06 Nov 1994 08:49:38 GMT");
  set_zone("UTC0");
}

TEST(HttpDate, Format) {
  EXPECT_EQ(http_date_of(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date_of(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(http_date_of(2147483647), "Tue, 19 Jan 2038 03:14:07 GMT");
  EXPECT_EQ(http_date_of(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(http_date_of(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(http_date_of(INT64_MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(HttpDate, ThreeForms) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", year_2026), example);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", year_2026), example);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994", year_2026), example);
  EXPECT_EQ(parse_http_date("Sun Nov 06 08:49:37 1994", year_2026), example);
  EXPECT_EQ(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", year_2026), parse_http_date("Sun, 01 Jan 2017 00:00:00 GMT", year_2026));
}

TEST(HttpDate, TwoDigitYears) {
  EXPECT_EQ(parse_http_date("Friday, 01-Jan-76 00:00:00 GMT", year_2026), parse_http_date("Fri, 01 Jan 2076 00:00:00 GMT"));
  EXPECT_EQ(parse_http_date("Friday, 01-Jan-77 00:00:00 GMT", year_2026), parse_http_date("Fri, 01 Jan 1977 00:00:00 GMT"));
  EXPECT_EQ(parse_http_date("Friday, 01-Jan-00 00:00:00 GMT", year_2026), parse_http_date("Fri, 01 Jan 2000 00:00:00 GMT"));
  EXPECT_EQ(parse_http_date("Friday, 01-Jan-26 00:00:00 GMT", year_2026), year_2026);
}

TEST(HttpDate, RoundTrip) {
  for (int64_t at = 0; at < 4102444800; at += 86400 * 13 + 12345) EXPECT_EQ(parse_http_date(http_date_of(at), year_2026), at);
}

TEST(HttpDate, CookiesAndMail) {
  for (const char* text : {"Sun, 06-Nov-94 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37", "Sun, 06 Nov 1994 08:49:37 +0000"})
    EXPECT_EQ(parse_http_date(text, year_2026), example) << text;
  EXPECT_EQ(parse_http_date("Thu, 01-Jan-70 00:00:01 GMT", year_2026), 1);
  EXPECT_EQ(parse_http_date("Tue, 01-Jan-69 00:00:00 GMT", year_2026), parse_http_date("Tue, 01 Jan 2069 00:00:00 GMT"));
}

TEST(HttpDate, OldBrowsers) {
  for (const char* text :
       {"Sun, 06 Nov 1994 08:49:37", "Sunday, 06-Nov-94 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT; length=5",
        "Sunday, 06-Nov-94 08:49:37 GMT;length=5", "Sun, 06 Nov 1994 08:49:37 ;", "Sun Nov  6 08:49:37 1994; length=5"})
    EXPECT_EQ(parse_http_date(text, year_2026), example) << text;
}

TEST(HttpDate, Refused) {
  for (const char* bad : {"",
                          "Sun",
                          "Sun,",
                          ";",
                          "Sun, 06 Nov 1994 08:49:37 GMT+1",
                          "Sun, 06 Nov 1994 08:49:37 GMT 1",
                          "Sun, 06 Nov 1994 08:49; length=5",
                          "Sun, 06 Nov 1994 08:49:37 UTC",
                          "Sun, 6 Nov 1994 08:49:37 GMT",
                          "Sun, 31 Feb 1994 08:49:37 GMT",
                          "Sun, 29 Feb 2001 00:00:00 GMT",
                          "Sun, 06 Nov 1994 24:00:00 GMT",
                          "Sun, 06 Nov 1994 08:60:37 GMT",
                          "Sun, 06 Nov 1994 08:49:61 GMT",
                          "Sun, 06 nov 1994 08:49:37 GMT",
                          "Xyz, 06 Nov 1994 08:49:37 GMT",
                          "unM, 06 Nov 1994 08:49:37 GMT",
                          "Sun, 06 anF 1994 08:49:37 GMT",
                          "Sun, 00 Nov 1994 08:49:37 GMT",
                          "Sun, -6 Nov 1994 08:49:37 GMT",
                          "Sunday, 06-Nov-1994 08:49:37 GMT",
                          "Sun, 06-Nov-1994 08:49:37 GMT",
                          "Sun, 06 Nov 1994 08:49:37 +0100",
                          "Sun-",
                          "Sun Nov 6 08:49:37 1994",
                          "Sun Nov  6 08:49:37 1994 GMT",
                          "Sun, 06 Nov 1994  8:49:37 GMT",
                          "784111777"}) {
    EXPECT_FALSE(parse_http_date(bad, year_2026)) << bad;
  }
}

}  // namespace
}  // namespace fairlead
