// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The walks through lists as nginx does them are in t/unit/modules/geo_test.cc.
#include "core/base/forwarded.h"

#include <gtest/gtest.h>

#include <vector>

namespace fairlead {
namespace {

std::string parsed(std::string_view text) {
  auto addr = parse_forwarded_addr(text);
  return addr ? addr->text() : "none";
}

TEST(Forwarded, Addresses) {
  EXPECT_EQ(parsed("192.0.2.1"), "192.0.2.1:0");
  EXPECT_EQ(parsed("192.0.2.1:80"), "192.0.2.1:80");
  EXPECT_EQ(parsed("2001:db8::1"), "[2001:db8::1]:0");
  EXPECT_EQ(parsed("[2001:db8::1]:80"), "[2001:db8::1]:80");
  for (std::string_view text : {"", "x", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:65536", "[192.0.2.1]:80", "[::1]", "[]:80",
                                "[:80", ":80", "unix:", "1.2.3.4:-1"})
    EXPECT_EQ(parsed(text), "none") << text;
}

TEST(Forwarded, WalksFromTheEnd) {
  std::vector<Cidr> trusted = {*Cidr::parse("10.0.0.0/8"), *Cidr::parse("unix:")};
  auto walk = [&](std::string_view peer, std::string_view list, bool recursive) {
    return forwarded_addr(*Addr::parse_ip(peer), list, trusted, recursive).host_text();
  };
  EXPECT_EQ(walk("10.0.0.1", "1.1.1.1, 10.0.0.2", false), "10.0.0.2");
  EXPECT_EQ(walk("10.0.0.1", "1.1.1.1, 10.0.0.2", true), "1.1.1.1");
  EXPECT_EQ(walk("10.0.0.1", "3.3.3.3,1.1.1.1,10.0.0.2,,  ", true), "1.1.1.1");
  EXPECT_EQ(walk("10.0.0.1", "10.0.0.3 10.0.0.2", true), "10.0.0.3");
  EXPECT_EQ(walk("10.0.0.1", "x, 10.0.0.2", true), "10.0.0.2");
  EXPECT_EQ(walk("10.0.0.1", " , ", true), "10.0.0.1");
  EXPECT_EQ(walk("9.0.0.1", "1.1.1.1", true), "9.0.0.1");
  EXPECT_EQ(forwarded_addr(Addr::local("/x"), "1.1.1.1", trusted, true).host_text(), "1.1.1.1");
  EXPECT_EQ(forwarded_addr(*Addr::parse_ip("10.0.0.1"), "1.1.1.1", {}, true).host_text(), "10.0.0.1");
}

}  // namespace
}  // namespace fairlead
