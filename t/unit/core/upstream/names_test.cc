// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/names.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/upstream/group.h"

namespace fairlead {
namespace {

NamedAddress at(std::string_view ip, uint16_t port, std::string target = {}, uint32_t weight = 0, bool backup = false) {
  NamedAddress made{*Addr::parse_ip(ip), std::move(target), weight, backup};
  made.address.set_port(port);
  return made;
}

const NamedAddresses some = {at("10.0.0.1", 80), at("2001:db8::1", 8080, "a.test:8080", 7, true), at("255.254.253.252", 65535)};

TEST(Names, PassThroughBytes) {
  EXPECT_EQ(decode_names(encode_names(some)), some);
  EXPECT_EQ(decode_names(""), NamedAddresses());
  std::string bytes = encode_names(some);
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    auto decoded = decode_names(std::string_view(bytes).substr(0, cut));
    EXPECT_TRUE(!decoded || decoded->size() < some.size()) << cut;
  }
  bytes[0] = 5;
  EXPECT_FALSE(decode_names(bytes));
}

struct InZone : testing::Test {
  static constexpr size_t room = 256;
  alignas(16) unsigned char memory[sizeof(ZoneNames) + room];
  ZoneNames& names = *ZoneNames::create(memory, sizeof memory);
};

TEST_F(InZone, ChangesMoveTheVersionAndNothingElseDoes) {
  uint64_t version = names.version();
  EXPECT_FALSE(names.find("one"));
  EXPECT_TRUE(names.store("one", some));
  EXPECT_GT(names.version(), version);
  version = names.version();
  EXPECT_TRUE(names.store("one", some));
  EXPECT_EQ(names.version(), version);
  EXPECT_TRUE(names.store("two", {}));
  EXPECT_EQ(names.find("one"), some);
  ASSERT_TRUE(names.find("two"));
  EXPECT_TRUE(names.find("two")->empty());
}

TEST_F(InZone, WithoutRoomWhatWasKnownStays) {
  EXPECT_TRUE(names.store("one", some));
  NamedAddresses many(40, at("10.0.0.1", 80));
  EXPECT_FALSE(names.store("one", many));
  EXPECT_FALSE(names.store("two", many));
  EXPECT_EQ(names.find("one"), some);
  EXPECT_FALSE(names.find("two"));
}

TEST_F(InZone, WhatTwoGenerationsDoNotWantGoes) {
  names.store("kept", some);
  names.store("left", some);
  std::vector<std::string> both = {"kept", "left"}, one = {"kept"};
  names.keep(both, 5);
  names.keep(one, 6);
  EXPECT_TRUE(names.find("left"));  // workers of 5 may drain
  names.keep(one, 7);
  EXPECT_FALSE(names.find("left"));
  EXPECT_EQ(names.find("kept"), some);
}

TEST_F(InZone, AfterARepairNothingIsKnown) {
  names.store("one", some);
  uint64_t version = names.version();
  names.clear();
  EXPECT_FALSE(names.find("one"));
  EXPECT_GT(names.version(), version);
  EXPECT_TRUE(names.store("one", some));
}

TEST(Names, BecomePeersByTheLinesParameters) {
  GroupSpec group;
  group.servers.resize(3);
  group.servers[0].spec.name = "127.0.0.1:1";
  ServerLine& named = group.servers[1];
  named.host = "a.test";
  named.spec.server = "a.test:80";
  named.spec.max_fails = 5;
  ServerLine& heavy = group.servers[2];
  heavy.host = "b.test";
  heavy.spec.weight = 4;
  std::vector<NamedAddresses> known(3);
  known[1] = {at("10.0.0.1", 80), at("10.0.0.2", 90, "t.test:90", 7, true)};
  known[2] = {at("10.0.0.3", 80, "u.test:80", 7)};
  std::vector<PeerSpec> peers = peers_of(group, known);
  ASSERT_EQ(peers.size(), 4u);
  EXPECT_EQ(peers[0].name, "127.0.0.1:1");
  EXPECT_EQ(peers[1].name, "10.0.0.1:80");
  EXPECT_EQ(peers[1].server, "a.test:80");
  EXPECT_EQ(peers[1].max_fails, 5u);
  EXPECT_EQ(peers[1].weight, 1u);
  EXPECT_FALSE(peers[1].backup);
  EXPECT_EQ(peers[2].server, "t.test:90");
  EXPECT_EQ(peers[2].weight, 7u);
  EXPECT_TRUE(peers[2].backup);
  EXPECT_EQ(peers[3].weight, 4u);  // the line's goes first
}

}  // namespace
}  // namespace fairlead
