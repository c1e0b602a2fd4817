// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The server_name extension (RFC 6066 section 3): well-formed lists, and every way in which lengths can lie.
#include "event/tls/client_hello.h"

#include <gtest/gtest.h>

#include <string>

using namespace fairlead;

namespace {

std::string number(size_t value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
std::string entry(char type, const std::string& name) { return std::string(1, type) + number(name.size()) + name; }
std::string list(const std::string& entries) { return number(entries.size()) + entries; }

TEST(ServerName, TheHostNameOfAList) {
  EXPECT_EQ(server_name_of(list(entry(0, "a.test"))), "a.test");
  EXPECT_EQ(server_name_of(list(entry(7, "other") + entry(0, "a.test"))), "a.test");
}

TEST(ServerName, LyingLengthsAreNoList) {
  std::string good = list(entry(0, "a.test"));
  for (size_t bytes = 0; bytes < good.size(); ++bytes) EXPECT_FALSE(server_name_of(good.substr(0, bytes))) << bytes;
  EXPECT_FALSE(server_name_of(good + "x"));
  EXPECT_FALSE(server_name_of(number(8) + std::string(1, 0) + number(6) + "a.tes"));
}

TEST(ServerName, NamesThatAreNone) {
  EXPECT_FALSE(server_name_of(list("")));
  EXPECT_FALSE(server_name_of(list(entry(0, ""))));
  EXPECT_FALSE(server_name_of(list(entry(0, std::string("a\0b", 3)))));
  EXPECT_FALSE(server_name_of(list(entry(0, std::string(256, 'a')))));
  EXPECT_TRUE(server_name_of(list(entry(0, std::string(255, 'a')))));
}

TEST(OfferedVersion, IsOneOfTheList) {
  std::string both = "\4" + number(0x0304) + number(0x0303);
  EXPECT_TRUE(offers_version(both, 0x0304));
  EXPECT_TRUE(offers_version(both, 0x0303));
  EXPECT_FALSE(offers_version(both, 0x0302));
  EXPECT_FALSE(offers_version("\2" + number(0x0303) + number(0x0304), 0x0304));
  EXPECT_FALSE(offers_version("\4" + number(0x0303) + "\3", 0x0304));
  EXPECT_FALSE(offers_version("\2", 0x0304));
  EXPECT_FALSE(offers_version("", 0x0304));
}

TEST(NormalisedName, LowerCaseWithoutTheLastDot) {
  char room[server_name_bytes_max];
  EXPECT_EQ(normalised_name("A.Test.", room), "a.test");
  for (const char* bad : {"", "a b", "a/b", "a..b", ".a", "a\tb"}) EXPECT_EQ(normalised_name(bad, room), "") << bad;
}

}  // namespace
