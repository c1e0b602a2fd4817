// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/balancer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/upstream/hash.h"
#include "core/upstream/ip_hash.h"
#include "core/upstream/least_conn.h"
#include "core/upstream/random.h"
#include "core/upstream/round_robin.h"
#include "pick_client.h"

namespace fairlead {
namespace {

using namespace pick_test;

struct Methods : testing::Test {
  RoundRobin round_robin;
  LeastConn least_conn;
  IpHash ip_hash;
  KeyHash hash;
  ConsistentHash consistent;
  RandomChoice random{RandomChoice::Way::one};
  RandomChoice random_two{RandomChoice::Way::two_least_conn};
  std::vector<const Balancer*> all = {&round_robin, &least_conn, &ip_hash, &hash, &consistent, &random, &random_two};
};

TEST_F(Methods, TryEachPeerOnceAndThenSayAllTried) {
  for (const Balancer* method : all) {
    SCOPED_TRACE(method->name());
    std::vector<PeerSpec> specs;
    for (uint16_t port = 1; port <= 150; ++port) specs.push_back(port == 70 ? down(spec(port)) : spec(port, 1 + port % 3));
    Client client(*method, specs);
    client.begin("a key");
    std::set<int> seen;
    while (int port = client.port(TryEnd::ok)) EXPECT_TRUE(seen.insert(port).second) << port;
    EXPECT_EQ(seen.size(), 149u);
    EXPECT_EQ(client.last, PickStatus::all_tried);
    EXPECT_FALSE(seen.count(70));
  }
}

TEST_F(Methods, SkipFullPeersAndCountConnections) {
  for (const Balancer* method : all) {
    SCOPED_TRACE(method->name());
    std::vector<PeerSpec> specs = {spec(1), spec(2), spec(3)};
    for (PeerSpec& each : specs) each.max_conns = 2;
    Client client(*method, specs);
    std::vector<PeerLease> held;
    for (int i = 0; i < 6; ++i) {
      client.begin("k");
      Pick pick = client.pick();
      ASSERT_EQ(pick.status, PickStatus::picked);
      held.push_back(std::move(pick.lease));
    }
    client.begin("k");
    EXPECT_EQ(client.port(), 0);
    EXPECT_EQ(client.last, PickStatus::none_eligible);
    held.clear();
    for (const Peer& peer : client.set.all()) EXPECT_EQ(peer.state->conns, 0u);
    EXPECT_NE(client.port(), 0);
  }
}

TEST_F(Methods, NothingIsRevivedWhenAllAreBanned) {
  for (const Balancer* method : all) {
    SCOPED_TRACE(method->name());
    Client client(*method, {spec(1), spec(2)});
    client.begin("k");
    EXPECT_NE(client.port(TryEnd::failed, 100), 0);
    EXPECT_NE(client.port(TryEnd::failed, 100), 0);
    EXPECT_EQ(client.port(TryEnd::failed, 100), 0);
    EXPECT_EQ(client.last, PickStatus::all_tried);
    client.begin("k");
    EXPECT_EQ(client.port(TryEnd::ok, 110), 0);
    EXPECT_EQ(client.last, PickStatus::none_eligible);
    EXPECT_NE(client.port(TryEnd::ok, 111), 0);
  }
}

TEST_F(Methods, ALonePeerIsNeverBannedButMayBeFullOrDown) {
  for (const Balancer* method : all) {
    SCOPED_TRACE(method->name());
    PeerSpec only = spec(1);
    only.max_conns = 1;
    Client client(*method, {only});
    for (int i = 0; i < 3; ++i) {
      client.begin("k");
      EXPECT_EQ(client.port(TryEnd::failed), 1);
      EXPECT_EQ(client.port(), 0);
      EXPECT_EQ(client.last, PickStatus::all_tried);
      // A reused connection that turned out to be dead: the caller lets the peer be tried again.
      client.state.tried.remove(0);
      EXPECT_EQ(client.port(), 1);
    }
    client.begin("k");
    Pick held = client.pick();
    client.begin("k");
    EXPECT_EQ(client.port(), 0);
    EXPECT_EQ(client.last, PickStatus::none_eligible);
    Client nobody(*method, {down(spec(1))});
    nobody.begin("k");
    EXPECT_EQ(nobody.port(), 0);
  }
}

TEST_F(Methods, BackupsServeWhenNoPrimaryCan) {
  for (const Balancer* method : {static_cast<const Balancer*>(&round_robin), static_cast<const Balancer*>(&least_conn)}) {
    SCOPED_TRACE(method->name());
    EXPECT_TRUE(method->allows_backups());
    Client client(*method, {backup(spec(8)), spec(1), down(spec(2)), backup(spec(9))});
    client.begin();
    EXPECT_EQ(client.port(TryEnd::ok, 100), 1);
    client.begin();
    EXPECT_EQ(client.port(TryEnd::failed, 100), 1);
    EXPECT_EQ(client.port(TryEnd::failed, 100), 8);
    EXPECT_EQ(client.port(TryEnd::ok, 100), 9);
    EXPECT_EQ(client.port(TryEnd::ok, 100), 0);
    EXPECT_EQ(client.last, PickStatus::all_tried);
    // The next request: the primary and one backup are banned.
    for (int i = 0; i < 3; ++i) {
      client.begin();
      EXPECT_EQ(client.port(TryEnd::ok, 105), 9);
    }
    client.begin();
    EXPECT_EQ(client.port(TryEnd::ok, 111), 1);
  }
  EXPECT_FALSE(ip_hash.allows_backups() || hash.allows_backups() || consistent.allows_backups() || random.allows_backups());
}

TEST_F(Methods, OnePrimaryWithABackupIsBannedLikeAnyOther) {
  Client client(round_robin, {spec(1), backup(spec(2))});
  client.begin();
  EXPECT_EQ(client.port(TryEnd::failed, 100), 1);
  client.begin();
  EXPECT_EQ(client.port(TryEnd::ok, 101), 2);
}

TEST_F(Methods, RoundRobinGivesAFailedPeerItsWeightBackStepByStep) {
  PeerSpec heavy = spec(1, 10);
  heavy.max_fails = 5;
  Client client(round_robin, {heavy, spec(2, 10)});
  client.begin();
  EXPECT_EQ(client.port(TryEnd::failed), 1);
  EXPECT_EQ(client.set.all()[0].state->effective_weight, 8);
  for (int64_t weight : {9, 10, 10}) {
    client.begin();
    client.port();
    EXPECT_EQ(client.set.all()[0].state->effective_weight, weight);
  }
}

TEST_F(Methods, LeastConnLooksAtConnectionsForTheWeight) {
  Client client(least_conn, {spec(1, 1), spec(2, 3)});
  std::vector<PeerLease> held;
  std::string ports;
  for (int i = 0; i < 8; ++i) {
    client.begin();
    Pick pick = client.pick();
    ports += std::to_string(pick.lease->spec.address.port());
    held.push_back(std::move(pick.lease));
  }
  // 0/1 0/3: equal, credits 1:3 -> 2; 0/1 1/3 -> 1; then 2 until 3/3; equal -> credits.
  EXPECT_EQ(ports.substr(0, 4), "2122");
  EXPECT_EQ(std::count(ports.begin(), ports.end(), '2'), 6);
}

TEST_F(Methods, RandomFollowsTheWeights) {
  Client client(random, {spec(1, 3), spec(2, 1), spec(3, 6)});
  std::map<int, int> counts;
  for (int i = 0; i < 10'000; ++i) {
    client.begin();
    ++counts[client.port()];
  }
  EXPECT_NEAR(counts[1], 3000, 200);
  EXPECT_NEAR(counts[2], 1000, 150);
  EXPECT_NEAR(counts[3], 6000, 200);
}

TEST_F(Methods, RandomFollowsWeightsWhoseSumIsWide) {
  Client client(random, {spec(1, 4'000'000'000), spec(2, 2'000'000'000), spec(3, 4'000'000'000)});
  std::map<int, int> counts;
  for (int i = 0; i < 10'000; ++i) {
    client.begin();
    ++counts[client.port()];
  }
  EXPECT_NEAR(counts[1], 4000, 200);
  EXPECT_NEAR(counts[2], 2000, 200);
  EXPECT_NEAR(counts[3], 4000, 200);
}

TEST_F(Methods, RandomTwoTakesTheLessLoadedOfTwo) {
  Client client(random_two, {spec(1), spec(2), spec(3)});
  client.set.begin_try(client.set.all()[0]);
  std::map<int, int> counts;
  for (int i = 0; i < 3000; ++i) {
    client.begin();
    ++counts[client.port()];
  }
  // The loaded one never wins against another.
  EXPECT_EQ(counts[1], 0);
  EXPECT_NEAR(counts[2], 1500, 150);
}

TEST_F(Methods, ConsistentSharesAServerAmongItsAddresses) {
  PeerSpec a = spec(1), b = spec(2), other = spec(3);
  a.server = b.server = "name:80";
  Client client(consistent, {a, other, b});
  int by_first = 0, by_second = 0;
  for (int i = 0; i < 400; ++i) {
    std::string key = "key" + std::to_string(i);
    client.begin(key);
    int first = client.port();
    client.begin(key);
    int again = client.port();
    // Round robin among the addresses of the server, the server itself stays.
    EXPECT_EQ(first == 3, again == 3) << key;
    by_first += first == 1;
    by_second += first == 2;
  }
  EXPECT_GT(by_first + by_second, 100);
  EXPECT_NE(by_first + by_second, 400);
}

TEST_F(Methods, ConsistentMovesFewKeysWhenAPeerGoes) {
  std::vector<PeerSpec> specs;
  for (uint16_t port = 1; port <= 10; ++port) specs.push_back(spec(port));
  Client before(consistent, specs);
  specs.pop_back();
  Client after(consistent, specs);
  int moved = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string key = "key" + std::to_string(i);
    before.begin(key);
    after.begin(key);
    int old_port = before.port(), new_port = after.port();
    if (old_port != 10) {
      EXPECT_EQ(new_port, old_port);
    }
    moved += old_port != new_port;
  }
  EXPECT_GT(moved, 40);
  EXPECT_LT(moved, 200);
}

TEST(TriedPeers, CountsEachOnce) {
  Arena::Owner arena = Arena::open(256);
  TriedPeers tried;
  tried.prepare(200, *arena);
  for (uint32_t index : {0u, 63u, 64u, 199u, 64u}) tried.add(index);
  EXPECT_EQ(tried.count(), 4u);
  EXPECT_TRUE(tried.contains(199) && tried.contains(64) && !tried.contains(65) && !tried.contains(128));
  tried.remove(64);
  tried.remove(64);
  EXPECT_EQ(tried.count(), 3u);
}

TEST(Random, IsReproducibleAndSpreads) {
  Random a(5), b(5), c(6);
  EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(a.next(), c.next());
  std::set<uint32_t> seen;
  for (int i = 0; i < 200; ++i) {
    uint32_t number = a.below(7);
    ASSERT_LT(number, 7u);
    seen.insert(number);
  }
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_NE(Random::from_system().next(), Random::from_system().next());
}

}  // namespace
}  // namespace fairlead
