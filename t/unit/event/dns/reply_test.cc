// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/dns/reply.h"

#include <gtest/gtest.h>

#include "scripted_server.h"

namespace fairlead {
namespace {

using namespace dns_test;

std::string message(const std::string& name, int type, const std::vector<std::string>& records) {
  std::string out = number(7, 2) + number(0x8180, 2) + number(1, 2) + number(static_cast<unsigned>(records.size()), 2) + number(0, 4) +
                    labels(name) + number(static_cast<unsigned>(type), 2) + number(1, 2);
  for (const std::string& each : records) out += each;
  return out;
}

Result<DnsReply> parse(const std::string& bytes, DnsType type = DnsType::a) {
  return parse_dns_reply({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()}, type);
}

TEST(DnsReply, TakesAddressesOfItsTypeAndTheLeastTtl) {
  auto reply = parse(message("x.test", type_a, {a("x.test", 50, "10.0.0.1"), aaaa("x.test", 1, "::1"), a("x.test", 40, "10.0.0.2")}));
  ASSERT_TRUE(reply);
  ASSERT_EQ(reply->addresses.size(), 2u);
  EXPECT_EQ(reply->addresses[1].text(), "10.0.0.2:0");
  EXPECT_EQ(reply->ttl_s, 40u);
  EXPECT_EQ(reply->alias, "");
  auto six = parse(message("x.test", type_aaaa, {aaaa("x.test", 1, "2001:db8::1")}), DnsType::aaaa);
  ASSERT_TRUE(six);
  EXPECT_EQ(six->addresses[0].host_text(), "2001:db8::1");
}

TEST(DnsReply, GivesTheEndOfAChainInAnyOrder) {
  auto reply = parse(message("A.test", type_a, {cname("b.TEST", 9, "C.test"), cname("a.test", 5, "B.test")}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->alias, "c.test");
  EXPECT_EQ(reply->ttl_s, 5u);
  EXPECT_EQ(parse(message("a.test", type_a, {cname("other.test", 9, "c.test")}))->alias, "");
  EXPECT_EQ(parse(message("a.test", type_a, {cname("a.test", 9, "b.test"), cname("b.test", 9, "a.test")}))->alias, "");
}

TEST(DnsReply, TakesAllOfALargeReplyAndReadsOddTtlsAsZero) {
  std::vector<std::string> records = {a("x.test", 0x80000001, "10.0.0.1")};
  while (records.size() < 2000) records.push_back(a("x.test", 9, "10.0.0.2"));
  auto reply = parse(message("x.test", type_a, records));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->addresses.size(), records.size());
  EXPECT_EQ(reply->ttl_s, 0u);
}

TEST(DnsReply, RefusesWhatItCannotReadToTheEnd) {
  std::string good = message("x.test", type_a, {a("x.test", 50, "10.0.0.1"), cname("y.test", 1, "z.test")});
  EXPECT_TRUE(parse(good));
  for (size_t cut = 0; cut < good.size(); ++cut) EXPECT_FALSE(parse(good.substr(0, cut))) << cut;
  EXPECT_FALSE(parse(message("x.test", type_a, {record("x.test", type_a, 5, "12345")})));
  EXPECT_FALSE(parse(message("x.test", type_a, {record("x.test", type_cname, 5, "\xc0\xff")})));
}

TEST(DnsReply, TakesServices) {
  std::string good = message("_s._tcp.x.test", type_srv,
                             {srv("_s._tcp.x.test", 30, {1, 65535, 8080}, "Host.TEST"), srv("_s._tcp.x.test", 20, {2, 0, 9}, "b.test"),
                              srv("_s._tcp.x.test", 10, {0, 0, 0}, ""), a("host.test", 5, "10.0.0.1")});
  auto reply = parse(good, DnsType::srv);
  ASSERT_TRUE(reply);
  ASSERT_EQ(reply->services.size(), 2u);  // the root is no target
  EXPECT_EQ(reply->services[0].target, "host.test");
  EXPECT_EQ(reply->services[0].priority, 1u);
  EXPECT_EQ(reply->services[0].weight, 65535u);
  EXPECT_EQ(reply->services[0].port, 8080u);
  EXPECT_EQ(reply->services[1].target, "b.test");
  EXPECT_EQ(reply->ttl_s, 10u);
  EXPECT_TRUE(reply->addresses.empty());
  for (size_t cut = 0; cut < good.size(); ++cut) EXPECT_FALSE(parse(good.substr(0, cut), DnsType::srv)) << cut;
  EXPECT_FALSE(parse(message("x.test", type_srv, {record("x.test", type_srv, 5, "123456")}), DnsType::srv));
  EXPECT_FALSE(parse(message("x.test", type_srv, {record("x.test", type_srv, 5, "123456\xc0\xff")}), DnsType::srv));
  EXPECT_EQ(parse(message("x.test", type_srv, {cname("x.test", 9, "y.test")}), DnsType::srv)->alias, "y.test");
}

}  // namespace
}  // namespace fairlead
