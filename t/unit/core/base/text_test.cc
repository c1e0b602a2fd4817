// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fairlead {
namespace {

std::vector<std::string> parts_of(Splitter splitter) {
  std::vector<std::string> parts;
  std::string_view part;
  while (splitter.next(part)) parts.emplace_back(part);
  return parts;
}

TEST(Text, short_texts_are_compared_as_by_the_operator) {
  for (size_t size = 0; size < 40; ++size) {
    std::string a(size, 'x');
    EXPECT_TRUE(equal_short(a, std::string(size, 'x'))) << size;
    EXPECT_FALSE(equal_short(a, std::string(size + 1, 'x'))) << size;
    for (size_t at = 0; at < size; ++at) {
      std::string b = a;
      b[at] = 'y';
      EXPECT_FALSE(equal_short(a, b)) << size << ' ' << at;
    }
  }
  EXPECT_TRUE(equal_short({}, ""));
}

TEST(Text, CaseIsAsciiOnly) {
  EXPECT_TRUE(equal_nocase("Content-Length", "cONTENT-lENGTH"));
  EXPECT_FALSE(equal_nocase("abc", "abcd"));
  EXPECT_TRUE(equal_nocase("", ""));
  // These pairs differ by the case bit, but are no letters.
  EXPECT_FALSE(equal_nocase("[", "{"));
  EXPECT_FALSE(equal_nocase("@", "`"));
  EXPECT_FALSE(equal_nocase("\xC4", "\xE4"));
  EXPECT_EQ(lower('Z'), 'z');
  EXPECT_EQ(lower('\xDC'), '\xDC');
  char text[] = "MiXeD-1\xC4";
  EXPECT_EQ(lower_into(text, std::string_view(text)), text + 8);
  EXPECT_STREQ(text, "mixed-1\xC4");
}

TEST(Text, PrefixAndSuffix) {
  EXPECT_TRUE(starts_with_nocase("Bearer abc", "bearer "));
  EXPECT_FALSE(starts_with_nocase("Bear", "bearer"));
  EXPECT_TRUE(starts_with_nocase("x", ""));
  EXPECT_TRUE(ends_with_nocase("a.Example.COM", ".example.com"));
  EXPECT_FALSE(ends_with_nocase("com", ".com"));
}

TEST(Text, FindNocase) {
  EXPECT_EQ(find_nocase("gzip, CHUNKED", "chunked"), 6u);
  EXPECT_EQ(find_nocase("aaab", "AAB"), 1u);
  EXPECT_EQ(find_nocase("abcabc", "ABC", 1), 3u);
  EXPECT_EQ(find_nocase("abc", "abcd"), std::string_view::npos);
  EXPECT_EQ(find_nocase("abc", "c", 3), std::string_view::npos);
  EXPECT_EQ(find_nocase("abc", "", 3), 3u);
  EXPECT_EQ(find_nocase("abc", "", 4), std::string_view::npos);
  EXPECT_EQ(find_nocase("", "a"), std::string_view::npos);
}

TEST(Text, Trim) {
  EXPECT_EQ(trim(" \t a b\t "), "a b");
  EXPECT_EQ(trim(" \t"), "");
  EXPECT_EQ(trim("\r\n"), "\r\n");
  EXPECT_EQ(trim_front("  a "), "a ");
  EXPECT_EQ(trim_back("  a "), "  a");
}

TEST(Text, Splitter) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(parts_of(Splitter("a,,b", ',')), (Parts{"a", "", "b"}));
  EXPECT_EQ(parts_of(Splitter("", ',')), (Parts{""}));
  EXPECT_EQ(parts_of(Splitter(",", ',')), (Parts{"", ""}));
  EXPECT_EQ(parts_of(Splitter(" a , ,\tb\t,", ',').trimmed()), (Parts{"a", "b"}));
  EXPECT_EQ(parts_of(Splitter(" , ", ',').trimmed()), (Parts{}));
}

TEST(Text, Decimal) {
  EXPECT_EQ(parse_decimal("0"), 0u);
  EXPECT_EQ(parse_decimal("007"), 7u);
  EXPECT_EQ(parse_decimal("18446744073709551615"), UINT64_MAX);
  for (const char* bad : {"", "18446744073709551616", "99999999999999999999", "-1", "+1", " 1", "1 ", "1x", "0x1"}) {
    EXPECT_FALSE(parse_decimal(bad)) << bad;
  }
}

TEST(Text, Signed) {
  EXPECT_EQ(parse_signed("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(parse_signed("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(parse_signed("-0"), 0);
  EXPECT_EQ(parse_signed("-12"), -12);
  for (const char* bad : {"", "-", "--1", "+1", "9223372036854775808", "-9223372036854775809"}) EXPECT_FALSE(parse_signed(bad)) << bad;
}

TEST(Text, Hex) {
  EXPECT_EQ(parse_hex("0"), 0u);
  EXPECT_EQ(parse_hex("fFfFfFfFfFfFfFfF"), UINT64_MAX);
  EXPECT_EQ(parse_hex("1aB"), 0x1abu);
  for (const char* bad : {"", "g", "0x1", "00000000000000001", " 1", "-1"}) EXPECT_FALSE(parse_hex(bad)) << bad;
}

TEST(Text, Size) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("512"), 512u);
  EXPECT_EQ(parse_size("8k"), 8192u);
  EXPECT_EQ(parse_size("8K"), 8192u);
  EXPECT_EQ(parse_size("3M"), 3u << 20);
  EXPECT_EQ(parse_size("2g"), uint64_t{2} << 30);
  EXPECT_EQ(parse_size("1m", SizeUnits::up_to_mega), 1u << 20);
  EXPECT_FALSE(parse_size("1g", SizeUnits::up_to_mega));
  EXPECT_EQ(parse_size("9223372036854775807"), uint64_t{INT64_MAX});
  EXPECT_EQ(parse_size("8796093022207m"), uint64_t{8796093022207} << 20);
  for (const char* bad : {"", "k", "1kb", "1kk", " 1", "1 k", "-1", "9223372036854775808", "8796093022208m", "99999999999999999g"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
}

struct TimeCase {
  const char* text;
  std::optional<uint64_t> ms;       // in a directive with a grain of milliseconds
  std::optional<uint64_t> seconds;  // with a grain of seconds, in milliseconds too
};

// What nginx 1.22 -t accepts for proxy_read_timeout and for the second value of keepalive_timeout.
TEST(Text, TimeAsNginx) {
  constexpr std::nullopt_t bad = std::nullopt;
  const TimeCase cases[] = {
      {"1", 1000, 1000}, {"0", 0, 0}, {"1w", 604800000, 604800000}, {"1d", 86400000, 86400000}, {"1h", 3600000, 3600000},
      {"1m", 60000, 60000}, {"1s", 1000, 1000}, {"1ms", 1, bad}, {"1y", bad, 31536000000}, {"1M", bad, 2592000000},
      {"1h30m", 5400000, 5400000}, {"1h 30m", 5400000, 5400000}, {"1m1h", bad, bad}, {"1h30", 3630000, 3630000},
      {"1s30", 31000, 31000}, {"1 30", 31000, 31000}, {"1  2", 3000, 3000}, {"1ms 5", 5001, bad}, {"1 h", bad, bad},
      {"1 5s", bad, bad}, {" 1", 1000, 1000}, {"1 ", 1000, 1000}, {"1h ", 3600000, 3600000}, {"h", bad, bad}, {" ", bad, bad},
      {"1hh", bad, bad}, {"1m 5ms", 60005, bad}, {"1M1m", bad, 2592060000}, {"", bad, bad}, {"1.5s", bad, bad},
      {"-1s", bad, bad}, {"1S", bad, bad},
  };
  for (const TimeCase& c : cases) {
    EXPECT_EQ(parse_time_ms(c.text), c.ms) << '"' << c.text << '"';
    EXPECT_EQ(parse_time_ms(c.text, TimeGrain::seconds), c.seconds) << '"' << c.text << '"';
  }
  uint64_t days = 365 + 2 * 30 + 3 * 7 + 4;
  EXPECT_EQ(parse_time_ms("1y2M3w4d5h6m7s", TimeGrain::seconds), ((days * 24 + 5) * 60 + 6) * 60000 + 7000);
}

TEST(Text, TimeOverflow) {
  EXPECT_FALSE(parse_time_ms("9999999999999999999"));
  EXPECT_FALSE(parse_time_ms("99999999999999999999999s"));
  EXPECT_FALSE(parse_time_ms("15250284452472w"));
  EXPECT_EQ(parse_time_ms("9223372036854775807ms"), uint64_t{INT64_MAX});
  EXPECT_FALSE(parse_time_ms("9223372036854775807ms1"));
}

}  // namespace
}  // namespace fairlead
