// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/proxy_protocol.h"

#include <gtest/gtest.h>

#include "core/base/format.h"
#include "core/base/hash.h"

namespace fairlead {
namespace {

using State = ProxyParsed::State;

std::string say(std::string_view bytes) {
  ProxyHeader header;
  ProxyParsed parsed = parse_proxy_header(bytes, header);
  if (parsed.state == State::need_more) return "more";
  if (parsed.state == State::malformed) return std::string(parsed.problem);
  return format("{} {} {}", parsed.bytes, header.source.text(), header.destination.text());
}

std::string v2(uint8_t command, uint8_t family, std::string_view rest) {
  std::string bytes("\r\n\r\n\0\r\nQUIT\n", 12);
  bytes += static_cast<char>(command);
  bytes += static_cast<char>(family);
  bytes += static_cast<char>(rest.size() >> 8);
  bytes += static_cast<char>(rest.size() & 0xff);
  return bytes.append(rest);
}

std::string tlv(uint8_t type, std::string_view value) {
  std::string bytes(1, static_cast<char>(type));
  bytes += static_cast<char>(value.size() >> 8);
  bytes += static_cast<char>(value.size() & 0xff);
  return bytes.append(value);
}

const std::string tcp4("\x01\x02\x03\x04\x05\x06\x07\x08\x04\xd2\x00\x50", 12);

TEST(ProxyProtocol, Version1) {
  EXPECT_EQ(say("PROXY TCP4 1.2.3.4 5.6.7.8 1234 80\r\nGET"), "36 1.2.3.4:1234 5.6.7.8:80");
  EXPECT_EQ(say("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n"), "36 [2001:db8::1]:65535 [::1]:0");
  EXPECT_EQ(say("PROXY UNKNOWN\r\n"), "15  ");
  EXPECT_EQ(say("PROXY UNKNOWN ffff:f...f:ffff ::1 1 2\r\n"), "39  ");
}

TEST(ProxyProtocol, Version1Malformed) {
  EXPECT_EQ(say("PROXY TCP4 1.2.3.4 5.6.7.8 1234 80\n\r\n"), "the line ends without a carriage return");
  EXPECT_EQ(say("PROXY TCP4 1.2.3.4 5.6.7.8 1234 80\nx"), "the line ends without a carriage return");
  EXPECT_EQ(say("PROXY UNKNOWN a\nb\r\n"), "the line ends without a carriage return");  // whole as in pieces
  EXPECT_EQ(say("PROXY TCP4 1.2.3.4 5.6.7.8 1234 65536\r\n"), "invalid address or port");
  EXPECT_EQ(say("PROXY TCP4 1.2.3.4 5.6.7.8 1234\r\n"), "invalid address or port");
  EXPECT_EQ(say("PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n"), "invalid address or port");
  EXPECT_EQ(say("PROXY TCP4 ::1 ::1 1 2\r\n"), "invalid address or port");
  EXPECT_EQ(say("PROXY TCP6 1.2.3.4 ::1 1 2\r\n"), "invalid address or port");
  EXPECT_EQ(say("PROXY TCP4 1.2.3.4 5.6.7.8 -1 80\r\n"), "invalid address or port");
  EXPECT_EQ(say("PROXY UDP4 1.2.3.4 5.6.7.8 1 80\r\n"), "unknown protocol");
  EXPECT_EQ(say("PROXY " + std::string(101, 'x')), "the line is too long");
  EXPECT_EQ(say("PROXY UNKNOWN" + std::string(93, ' ') + "\r\n"), "the line is too long");
  EXPECT_EQ(say("PROXY UNKNOWN" + std::string(92, ' ') + "\r\n"), "107  ");
  EXPECT_EQ(say("GET / HTTP/1.1\r\n"), "no signature");
  EXPECT_EQ(say("PROXI"), "no signature");
}

TEST(ProxyProtocol, Version2) {
  EXPECT_EQ(say(v2(0x21, 0x11, tcp4) + "GET"), "28 1.2.3.4:1234 5.6.7.8:80");
  std::string tcp6(15, '\0');
  tcp6 += "\x01" + std::string(15, '\0') + "\x02" + std::string("\x04\xd2\x00\x50", 4);
  EXPECT_EQ(say(v2(0x21, 0x21, tcp6)), "52 [::1]:1234 [::2]:80");
  EXPECT_EQ(say(v2(0x20, 0x00, "")), "16  ");
  EXPECT_EQ(say(v2(0x20, 0x11, tcp4)), "28  ");                      // LOCAL: nothing is said
  EXPECT_EQ(say(v2(0x21, 0x12, tcp4)), "28  ");                      // datagrams
  EXPECT_EQ(say(v2(0x21, 0x31, std::string(216, 'x'))), "232  ");    // unix sockets
}

TEST(ProxyProtocol, Version2Malformed) {
  EXPECT_EQ(say(v2(0x11, 0x11, tcp4)), "unknown version");
  EXPECT_EQ(say(v2(0x22, 0x11, tcp4)), "unknown command");
  EXPECT_EQ(say(v2(0x21, 0x11, tcp4.substr(1))), "the addresses are cut");
  EXPECT_EQ(say(v2(0x21, 0x21, tcp4)), "the addresses are cut");
  EXPECT_EQ(say(v2(0x21, 0x11, tcp4 + "\x01")), "a TLV is cut");
  EXPECT_EQ(say(v2(0x21, 0x11, tcp4 + tlv(1, "ab").substr(0, 4))), "a TLV is cut");
  EXPECT_EQ(say(v2(0x21, 0x11, std::string(4096 - 15, '\0'))), "the header is too large");
  EXPECT_EQ(say(v2(0x21, 0x11, tcp4 + tlv(4, std::string(4096 - 16 - 12 - 3, 'n')))), "4096 1.2.3.4:1234 5.6.7.8:80");
}

TEST(ProxyProtocol, EveryPrefixNeedsMore) {
  for (const std::string& whole : {std::string("PROXY TCP4 1.2.3.4 5.6.7.8 1234 80\r\n"), v2(0x21, 0x11, tcp4 + tlv(1, "h2"))})
    for (size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(say(whole.substr(0, i)), "more") << i;
}

TEST(ProxyProtocol, Checksum) {
  std::string whole = v2(0x21, 0x11, tcp4 + tlv(1, "h2") + tlv(3, std::string(4, '\0')));
  uint32_t sum = crc32c(whole);
  for (int i = 0; i < 4; ++i) whole[whole.size() - 4 + static_cast<size_t>(i)] = static_cast<char>(sum >> (24 - 8 * i));
  EXPECT_EQ(say(whole), "40 1.2.3.4:1234 5.6.7.8:80");
  whole[16] ^= 1;
  EXPECT_EQ(say(whole), "wrong checksum");
  EXPECT_EQ(say(v2(0x21, 0x11, tcp4 + tlv(3, "123"))), "wrong checksum");
}

TEST(ProxyProtocol, Tlvs) {
  std::string ssl = std::string("\x07\x00\x00\x01\x02", 5) + tlv(0x21, "TLSv1.3") + tlv(0x22, "me");
  std::string tlvs = tlv(1, "h2") + tlv(2, "example.org") + tlv(0x20, ssl) + tlv(0xe0, "own") + tlv(1, "second");
  auto find = [&](std::string_view name) -> std::string {
    auto parsed = parse_proxy_tlv_name(name);
    if (!parsed) return "no name";
    auto found = find_proxy_tlv(tlvs, *parsed);
    return found ? std::string(*found) : "none";
  };
  EXPECT_EQ(find("alpn"), "h2");
  EXPECT_EQ(find("0x01"), "h2");
  EXPECT_EQ(find("0xE0"), "own");
  EXPECT_EQ(find("authority"), "example.org");
  EXPECT_EQ(find("unique_id"), "none");
  EXPECT_EQ(find("netns"), "none");
  EXPECT_EQ(find("ssl_version"), "TLSv1.3");
  EXPECT_EQ(find("ssl_0x22"), "me");
  EXPECT_EQ(find("ssl_cipher"), "none");
  EXPECT_EQ(find("ssl_verify"), std::string("\x00\x00\x01\x02", 4));
  EXPECT_EQ(find("ssl"), ssl);
  EXPECT_EQ(find("0x100"), "no name");
  EXPECT_EQ(find("cn"), "no name");
  EXPECT_EQ(find(""), "no name");
  tlvs = tlv(0x20, "1234");
  EXPECT_EQ(find("ssl_verify"), "none");
}

TEST(ProxyProtocol, WhatIsMadeIsRead) {
  Addr a = *Addr::parse_ip("10.0.0.1"), b = *Addr::parse_ip("10.0.0.2"), c = *Addr::parse_ip("2001:db8::3"), d = *Addr::parse_ip("::4");
  a.set_port(1);
  b.set_port(65535);
  d.set_port(4000);
  for (ProxyVersion version : {ProxyVersion::v1, ProxyVersion::v2}) {
    std::string inet = make_proxy_header(version, a, b), inet6 = make_proxy_header(version, c, d);
    EXPECT_EQ(say(inet), format("{} 10.0.0.1:1 10.0.0.2:65535", inet.size()));
    EXPECT_EQ(say(inet6), format("{} [2001:db8::3]:0 [::4]:4000", inet6.size()));
    std::string mixed = make_proxy_header(version, a, d), mixed6 = make_proxy_header(version, c, b);
    EXPECT_EQ(say(mixed), format("{} [::ffff:10.0.0.1]:1 [::4]:4000", mixed.size()));
    EXPECT_EQ(say(mixed6), format("{} [2001:db8::3]:0 [::ffff:10.0.0.2]:65535", mixed6.size()));
    std::string local = make_proxy_header(version, Addr::local("/x"), b);
    EXPECT_EQ(say(local), format("{}  ", local.size()));
  }
}

}  // namespace
}  // namespace fairlead
