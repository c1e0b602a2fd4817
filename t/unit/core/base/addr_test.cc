// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/addr.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

namespace fairlead {
namespace {

Addr ip(std::string_view text, uint16_t port = 0) {
  std::optional<Addr> addr = Addr::parse_ip(text);
  EXPECT_TRUE(addr.has_value()) << text;
  Addr result = addr.value_or(Addr());
  result.set_port(port);
  return result;
}

Addr round_trip(const Addr& addr) {
  sockaddr_storage storage;
  socklen_t size = addr.to_sockaddr(storage);
  return Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size);
}

TEST(Addr, Texts) {
  EXPECT_EQ(Addr::inet(0x7f000001, 8080).text(), "127.0.0.1:8080");
  EXPECT_EQ(Addr::inet(0xffffffff, 65535).text(), "255.255.255.255:65535");
  EXPECT_EQ(Addr::inet(0x7f000001, 8080).host_text(), "127.0.0.1");
  EXPECT_EQ(ip("::1", 80).text(), "[::1]:80");
  EXPECT_EQ(ip("::1", 80).host_text(), "::1");
  EXPECT_EQ(ip("2001:DB8:0:0:1:0:0:1").host_text(), "2001:db8::1:0:0:1");
  EXPECT_EQ(ip("::ffff:192.0.2.1", 1).text(), "[::ffff:192.0.2.1]:1");
  EXPECT_EQ(Addr::local("/run/a.sock").text(), "unix:/run/a.sock");
  EXPECT_EQ(Addr::local("/run/a.sock").host_text(), "unix:");
  EXPECT_EQ(Addr::local("").text(), "unix:");
  EXPECT_EQ(Addr::local(std::string_view("\0name", 5)).text(), "unix:@name");
  EXPECT_EQ(Addr().text(), "");
  EXPECT_EQ(Addr::local(std::string(Addr::path_max, 'p')).text().size(), Addr::text_max);
}

TEST(Addr, ParseIp) {
  for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", ".1.2.3", "1.2.3.0004", "1.2.3.4 ", "a.b.c.d", "1.2.3.-4", ":",
                          ":::", "1::2::3", "::g", "[::1]", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "fe80::1%lo", "::1.2.3.256"}) {
    EXPECT_FALSE(Addr::parse_ip(bad)) << bad;
  }
  EXPECT_FALSE(Addr::parse_ip(std::string_view("::1\0", 4)));
  EXPECT_FALSE(Addr::parse_ip(std::string(100, ':')));
  EXPECT_TRUE(ip("0.0.0.0").is_wildcard());
  EXPECT_TRUE(ip("::").is_wildcard());
  EXPECT_FALSE(ip("::1").is_wildcard());
  EXPECT_FALSE(Addr::local("").is_wildcard());
  EXPECT_EQ(ip("1.2.3.4").bytes(), "\x01\x02\x03\x04");
}

TEST(Addr, Sockaddr) {
  std::string longest(Addr::path_max, 'p');
  for (const Addr& addr : {Addr::inet(0x01020304, 5), ip("2001:db8::1", 443), Addr::local("/a"), Addr::local(""),
                           Addr::local(std::string_view("\0a\0b", 4)), Addr::local(longest)}) {
    EXPECT_EQ(round_trip(addr), addr) << addr.text();
    EXPECT_TRUE(round_trip(addr).valid());
  }
  EXPECT_FALSE(round_trip(Addr()).valid());
  sockaddr_storage storage;
  EXPECT_EQ(Addr::local("/a").to_sockaddr(storage), offsetof(sockaddr_un, sun_path) + 3);
  sockaddr_in6 link_local{};
  link_local.sin6_family = AF_INET6;
  link_local.sin6_scope_id = 7;
  link_local.sin6_addr.s6_addr[0] = 0xfe;
  Addr scoped = Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&link_local), sizeof(link_local));
  scoped.to_sockaddr(storage);
  EXPECT_EQ(reinterpret_cast<sockaddr_in6*>(&storage)->sin6_scope_id, 7u);
  EXPECT_EQ(Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&link_local), sizeof(sockaddr_in)).valid(), false);  // too short
  link_local.sin6_family = AF_PACKET;
  EXPECT_FALSE(Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&link_local), sizeof(link_local)).valid());
}

TEST(Addr, KernelSeesWhatWeMean) {
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  if (fd < 0) GTEST_SKIP() << "no IPv6";
  sockaddr_storage storage;
  socklen_t size = ip("::1").to_sockaddr(storage);
  if (bind(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0) {
    size = sizeof(storage);
    ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size), 0);
    Addr bound = Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size);
    EXPECT_TRUE(bound.same_host(ip("::1")));
    EXPECT_NE(bound.port(), 0);
  }
  close(fd);
}

TEST(Addr, CopiesShareThePath) {
  Addr first = Addr::local("/run/x.sock");
  std::vector<Addr> copies(3, first);
  Addr moved = std::move(copies[0]);
  EXPECT_FALSE(copies[0].valid());
  copies[1] = Addr::inet(1, 2);
  copies[2] = *&copies[2];
  first = Addr();
  EXPECT_EQ(moved.text(), "unix:/run/x.sock");
  EXPECT_EQ(moved, copies[2]);
  moved = std::move(copies[2]);
  EXPECT_EQ(moved.bytes(), "/run/x.sock");
}

TEST(Addr, EqualityAndHash) {
  EXPECT_EQ(ip("1.2.3.4", 80), Addr::inet(0x01020304, 80));
  EXPECT_FALSE(ip("1.2.3.4", 80) == ip("1.2.3.4", 81));
  EXPECT_TRUE(ip("1.2.3.4", 80).same_host(ip("1.2.3.4", 81)));
  EXPECT_FALSE(ip("1.2.3.4") == ip("::ffff:1.2.3.4"));
  EXPECT_EQ(ip("::ffff:1.2.3.4", 9).unmapped(), ip("1.2.3.4", 9));
  EXPECT_EQ(ip("::1", 9).unmapped(), ip("::1", 9));
  EXPECT_FALSE(Addr::local("/a") == Addr::local("/b"));
  EXPECT_EQ(ip("1.2.3.4", 80).hash(), Addr::inet(0x01020304, 80).hash());
  EXPECT_NE(ip("1.2.3.4", 80).hash(), ip("1.2.3.4", 81).hash());
  EXPECT_NE(ip("1.2.3.4", 80).hash(), ip("1.2.3.5", 80).hash());
  EXPECT_EQ(Addr::local("/a").hash(), Addr::local("/a").hash());
}

TEST(AddrText, Listen) {
  struct Case {
    const char *text, *addr;
    uint16_t last_port;
    bool has_port;
  };
  for (const Case& c : std::vector<Case>{{"127.0.0.1:80", "127.0.0.1:80", 80, true},
                                         {"127.0.0.1", "127.0.0.1:8000", 8000, false},
                                         {"80", "0.0.0.0:80", 80, true},
                                         {"*:81", "0.0.0.0:81", 81, true},
                                         {"*", "0.0.0.0:8000", 8000, false},
                                         {"[::1]:80", "[::1]:80", 80, true},
                                         {"[::]", "[::]:8000", 8000, false},
                                         {"127.0.0.1:80-90", "127.0.0.1:80", 90, true},
                                         {"[::]:80-90", "[::]:80", 90, true},
                                         {"80-90", "0.0.0.0:80", 90, true},
                                         {"unix:/a:b", "unix:/a:b", 0, false}}) {
    ConfResult<AddrText> parsed = parse_addr(c.text, 8000, AddrUse::listen);
    ASSERT_TRUE(parsed) << c.text << ": " << parsed.error();
    EXPECT_EQ(parsed->addr.text(), c.addr);
    EXPECT_EQ(parsed->last_port, c.last_port) << c.text;
    EXPECT_EQ(parsed->has_port, c.has_port) << c.text;
  }
}

TEST(AddrText, Names) {
  ConfResult<AddrText> parsed = parse_addr("localhost:8080", 80, AddrUse::listen);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->is_name());
  EXPECT_EQ(parsed->host, "localhost");
  EXPECT_EQ(parsed->port, 8080);
  parsed = parse_addr("backend", 80, AddrUse::connect);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->is_name());
  EXPECT_EQ(parsed->port, 80);
  EXPECT_FALSE(parsed->has_port);
  parsed = parse_addr("80-", 80, AddrUse::listen);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->is_name());
  parsed = parse_addr("8080", 80, AddrUse::connect);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->is_name());
  parsed = parse_addr("[::1]:80", 0, AddrUse::connect);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->host, "[::1]");
}

TEST(AddrText, Refused) {
  const char* cases[][2] = {{"127.0.0.1:0", "invalid port"},
                            {"127.0.0.1:65536", "invalid port"},
                            {"127.0.0.1:", "invalid port"},
                            {"127.0.0.1:8a", "invalid port"},
                            {"127.0.0.1:90-80", "invalid port range"},
                            {"90-80", "invalid port range"},
                            {"127.0.0.1:80-65536", "invalid port"},
                            {"0", "invalid port"},
                            {"65536", "invalid port"},
                            {"", "no host"},
                            {":80", "no host"},
                            {"[::1", "invalid host"},
                            {"[::1]80", "invalid host"},
                            {"[]:80", "no host"},
                            {"[1.2.3.4]:80", "invalid IPv6 address"},
                            {"[::1]:0", "invalid port"},
                            {"unix:", "no path in the unix domain socket"},
                            {"::1", "invalid port"}};
  for (const auto& c : cases) {
    ConfResult<AddrText> parsed = parse_addr(c[0], 80, AddrUse::listen);
    ASSERT_FALSE(parsed) << c[0];
    EXPECT_EQ(parsed.error(), c[1]) << c[0];
  }
  ConfResult<AddrText> range = parse_addr("h:80-90", 80, AddrUse::connect);
  ASSERT_FALSE(range);
  EXPECT_EQ(range.error(), "invalid port");
  ConfResult<AddrText> path = parse_addr("unix:" + std::string(108, 'x'), 80, AddrUse::connect);
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error(), "too long path in the unix domain socket");
}

bool in(const char* network, const Addr& addr) {
  std::optional<Cidr> cidr = Cidr::parse(network);
  EXPECT_TRUE(cidr.has_value()) << network;
  return cidr && cidr->contains(addr);
}

TEST(Cidr, Contains) {
  EXPECT_TRUE(in("10.0.0.0/8", ip("10.255.0.1")));
  EXPECT_FALSE(in("10.0.0.0/8", ip("11.0.0.1")));
  EXPECT_TRUE(in("192.168.4.0/22", ip("192.168.7.255")));
  EXPECT_FALSE(in("192.168.4.0/22", ip("192.168.8.0")));
  EXPECT_TRUE(in("0.0.0.0/0", ip("8.8.8.8")));
  EXPECT_FALSE(in("0.0.0.0/0", ip("2001:db8::1")));
  EXPECT_TRUE(in("192.0.2.1", ip("192.0.2.1")));
  EXPECT_FALSE(in("192.0.2.1/32", ip("192.0.2.0")));
  EXPECT_TRUE(in("2001:db8::/33", ip("2001:db8:7fff::1")));
  EXPECT_FALSE(in("2001:db8::/33", ip("2001:db8:8000::1")));
  EXPECT_TRUE(in("::1", ip("::1")));
  EXPECT_TRUE(in("::/0", ip("2001:db8::1")));
  EXPECT_TRUE(in("unix:", Addr::local("")));
  EXPECT_FALSE(in("unix:", ip("1.2.3.4")));
  EXPECT_FALSE(in("0.0.0.0/0", Addr::local("/a")));
  EXPECT_FALSE(in("0.0.0.0/0", Addr()));
}

TEST(Cidr, MappedCountsAsIpv4) {
  EXPECT_TRUE(in("10.0.0.0/8", ip("::ffff:10.1.1.1")));
  EXPECT_FALSE(in("10.0.0.0/8", ip("::ffff:11.1.1.1")));
  EXPECT_FALSE(in("::/0", ip("::ffff:10.1.1.1")));
}

TEST(Cidr, LowBits) {
  EXPECT_TRUE(Cidr::parse("10.0.0.1/8")->low_bits_set());
  EXPECT_FALSE(Cidr::parse("10.0.0.0/8")->low_bits_set());
  EXPECT_TRUE(Cidr::parse("10.0.0.2/30")->low_bits_set());
  EXPECT_FALSE(Cidr::parse("10.0.0.1")->low_bits_set());
  EXPECT_TRUE(Cidr::parse("2001:db8::1/64")->low_bits_set());
  EXPECT_EQ(Cidr::parse("10.1.2.3/15")->bytes(), std::string_view("\x0a\0\0\0", 4));
  EXPECT_TRUE(in("10.0.0.1/8", ip("10.9.9.9")));
}

TEST(Cidr, Refused) {
  for (const char* bad :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0/8", "host", "10.0.0.0/255.0.0.0", "unix:/a"}) {
    EXPECT_FALSE(Cidr::parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace fairlead
