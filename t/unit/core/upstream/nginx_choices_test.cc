// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The choices of nginx 1.22, observed: one worker, peers on 127.0.0.1:19920 + n, peer 9 refuses connections. Each word is one request: the
// peers it tried in order. Our balancers must make the same choices.
#include <gtest/gtest.h>

#include <sstream>

#include "core/upstream/hash.h"
#include "core/upstream/ip_hash.h"
#include "core/upstream/least_conn.h"
#include "core/upstream/round_robin.h"

namespace fairlead {
namespace {

constexpr uint32_t dead = 9;
enum class Feed { no_key, keys, addresses };

const char* client_addresses =
    "83.243.39.102 167.13.19.211 138.25.94.150 15.233.130.55 10.23.112.108 18.62.24.142 109.16.212.145 32.243.58.162 "
    "161.150.243.16 148.150.102.13 250.57.12.143 220.35.75.108 37.139.31.147 79.144.209.175 47.27.149.147 164.49.96.25 "
    "141.183.17.145 16.159.53.128 175.137.110.199 81.120.150.237 117.93.77.64 204.47.179.200 63.21.148.77 135.127.225.88 "
    "187.115.74.156 251.19.31.132 108.43.194.88 39.239.126.108 11.247.172.20 196.143.147.203 225.210.81.88 178.90.153.128 "
    "149.205.117.18 216.24.242.70 122.179.171.17 16.188.180.80 166.148.175.211 115.73.184.99 228.172.89.6 241.119.91.44 "
    "157.30.127.16 56.197.74.34 190.64.102.101 235.224.128.21 43.115.103.141 72.227.36.210 111.222.141.72 181.107.253.92 "
    "175.227.98.246 60.39.22.46 39.60.169.60 4.125.213.151 47.68.73.2 38.108.137.95 157.145.82.244 33.177.220.132 "
    "244.159.168.174 190.14.117.231 223.200.244.224 175.205.144.101 2001:db8::cbcf:cc46 2001:db8::c9ca:3502 "
    "2001:db8::f68a:cd06 2001:db8::1fde:6197 2001:db8::227b:6ae3 2001:db8::e199:5319 2001:db8::3848:ae1b 2001:db8::1aeb:346b "
    "2001:db8::1e:4d72 2001:db8::33f3:ba2b 2001:db8::d0e:2400 2001:db8::6a78:c0a1 2001:db8::4c0e:8127 2001:db8::b1dd:ba73 "
    "2001:db8::f2c3:3ee5 2001:db8::3b0f:f9e4 2001:db8::ee96:f5f6 2001:db8::f7b9:9fab 2001:db8::2bf9:49c9 2001:db8::3451:af6d";

struct Server {
  uint32_t digit;
  uint32_t weight;
  bool down = false;
  uint32_t max_fails = 1;
};

PeerSet make_set(const std::vector<Server>& servers) {
  std::vector<PeerSpec> specs;
  for (const Server& server : servers) {
    PeerSpec spec;
    spec.address = Addr::inet(0x7f000001, static_cast<uint16_t>(19920 + server.digit));
    spec.name = spec.server = spec.address.text();
    spec.weight = server.weight;
    spec.down = server.down;
    spec.max_fails = server.max_fails;
    spec.fail_timeout_s = 100;
    specs.push_back(std::move(spec));
  }
  return PeerSet(std::move(specs));
}

// As many requests as there are words in `observed`: key-0, key-1, ...; the addresses in their order.
std::string play(const Balancer& balancer, const std::vector<Server>& servers, Feed feed, const std::string& observed) {
  PeerSet set = make_set(servers);
  set.set_index(balancer.prepare(set));
  Random random(1);
  std::istringstream addresses(client_addresses), wanted(observed);
  std::string all, word;
  for (int n = 0; wanted >> word; ++n) {
    Arena::Owner arena = Arena::open(256);
    PickState state;
    PickRequest request{state, *arena, random, 1000};
    std::string key = "key-" + std::to_string(n);
    Addr client;
    if (feed == Feed::keys) request.key = key;
    if (feed == Feed::addresses) {
      addresses >> key;
      client = *Addr::parse_ip(key);
      request.client = &client;
    }
    if (n > 0) all.push_back(' ');
    for (;;) {
      Pick pick = balancer.pick(set, request);
      if (pick.status != PickStatus::picked) break;
      uint32_t digit = pick.lease->spec.address.port() - 19920u;
      all += std::to_string(digit);
      pick.lease.finish({digit == dead ? TryEnd::failed : TryEnd::ok, 1000});
      if (digit != dead) break;
    }
  }
  return all;
}

TEST(AsNginx, RoundRobinFiveOneOne) {
  const char* observed =
    "0 0 1 0 2 0 0 0 0 1 0 2 0 0 0 0 1 0 2 0 0 0 0 1 0 2 0 0 0 0 1 0 2 0 0 0 0 1 0 2";
  EXPECT_EQ(play(RoundRobin(), {{0, 5}, {1, 1}, {2, 1}}, Feed::no_key, observed), observed);
}

TEST(AsNginx, RoundRobinFivePeers) {
  const char* observed =
    "1 4 0 1 2 1 4 3 1 0 4 1 2 1 0 4 1 1 4 0 1 2 1 4 3 1 0 4 1 2 1 0 4 1 1 4 0 1 2 1";
  EXPECT_EQ(play(RoundRobin(), {{0, 3}, {1, 7}, {2, 2}, {3, 1}, {4, 4}}, Feed::no_key, observed), observed);
}

TEST(AsNginx, RoundRobinSkipsDown) {
  const char* observed =
    "0 2 0 2 0 0 2 0 2 0 0 2 0 2 0 0 2 0 2 0 0 2 0 2 0 0 2 0 2 0 0 2 0 2 0 0 2 0 2 0";
  EXPECT_EQ(play(RoundRobin(), {{0, 3}, {1, 7, true}, {2, 2}}, Feed::no_key, observed), observed);
}

TEST(AsNginx, RoundRobinBansAfterThreeFailures) {
  const char* observed =
    "90 0 2 90 0 92 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 "
    "2";
  EXPECT_EQ(play(RoundRobin(), {{0, 4}, {9, 6, false, 3}, {2, 2}}, Feed::no_key, observed), observed);
}

TEST(AsNginx, LeastConnAmongEquals) {
  const char* observed =
    "0 1 0 2 1 0 0 1 0 2 1 0 0 1 0 2 1 0 0 1 0 2 1 0 0 1 0 2 1 0 0 1 0 2 1 0 0 1 0 2";
  EXPECT_EQ(play(LeastConn(), {{0, 3}, {1, 2}, {2, 1}}, Feed::no_key, observed), observed);
}

TEST(AsNginx, IpHash) {
  const char* observed =
    "0 0 0 4 3 3 3 0 1 3 3 3 1 3 0 3 3 0 3 3 0 3 1 4 0 4 3 3 3 3 3 3 0 0 0 1 1 3 1 3 0 1 1 0 3 3 4 3 4 3 1 4 4 0 0 3 0 1 1 3 "
    "0 0 0 1 3 0 4 0 3 1 3 3 3 3 1 0 0 3 3 1";
  EXPECT_EQ(play(IpHash(), {{0, 3}, {1, 1}, {2, 2, true}, {3, 5}, {4, 1}}, Feed::addresses, observed), observed);
}

TEST(AsNginx, IpHashRetries) {
  const char* observed =
    "91 3 0 90 90 93 91 91 91 93 91 1 90 0 91 91 91 1 93 90 1 1 3 90 93 93 90 3 93 0 3 90 3 91 93 93 1 90 91 90 93 93 91 91 3 "
    "91 93 93 91 91 90 90 91 90 90 91 1 91 90 91 91 93 93 90 0 0 3 0 1 0 93 91 91 1 93 93 91 91 3 93";
  EXPECT_EQ(play(IpHash(), {{0, 1}, {1, 2}, {9, 9, false, 0}, {3, 1}}, Feed::addresses, observed), observed);
}

TEST(AsNginx, Hash) {
  const char* observed =
    "4 3 3 3 0 3 3 1 3 3 0 0 4 0 0 3 3 0 0 0 0 4 3 0 1 3 1 0 3 3 3 3 0 3 3 1 0 4 0 4 3 3 3 4 1 3 0 3 0 3 3 0 3 0 3 4 0 3 0 3 "
    "0 4 3 0 0 3 4 3 4 3 4 0 0 3 0 0 0 4 0 3 3 3 3 0 0 0 0 1 0 1 0 1 0 3 0 3 3 3 1 0";
  EXPECT_EQ(play(KeyHash(), {{0, 3}, {1, 1}, {2, 2, true}, {3, 5}, {4, 1}}, Feed::keys, observed), observed);
}

TEST(AsNginx, HashRetries) {
  const char* observed =
    "91 91 91 91 93 1 91 93 1 93 93 91 3 93 91 91 0 91 90 3 3 91 93 91 91 90 3 1 91 0 93 91 90 90 93 0 91 91 3 91 91 0 90 91 "
    "90 93 91 90 1 91 91 90 3 91 90 91 93 3 93 90 91 0 91 91 93 91 90 0 91 90 91 90 1 93 93 3 91 91 91 1 91 91 91 1 90 91 91 "
    "1 91 91 93 0 0 3 93 91 91 90 3 0";
  EXPECT_EQ(play(KeyHash(), {{0, 1}, {1, 2}, {9, 9, false, 0}, {3, 1}}, Feed::keys, observed), observed);
}

TEST(AsNginx, HashFallsBackToRoundRobin) {
  const char* observed =
    "0 2 0 2 0 0 0 2 0 2 0 0 2 0 2 0 0 2 0 2 0 0 2 0 0 2 0 0 0 0 0 2 0 2 0 0 0 0 2 0 2 0 0 2 0 2 0 0 2 0 2 0 0 2 0 2 0 0 2 0 "
    "2 2 0 0 0 2 0 2 2 0 0 0 2 2 0 2 0 0 2 0 0 2 0 0 2 0 2 0 0 2 0 2 0 0 2 0 2 0 0 0";
  EXPECT_EQ(play(KeyHash(), {{0, 3}, {1, 900, true}, {2, 2}}, Feed::keys, observed), observed);
}

TEST(AsNginx, HashOfNothing) {
  const char* observed =
    "3 0 3 1 0 3 4 3 0 3 3 0";
  EXPECT_EQ(play(KeyHash(), {{0, 3}, {1, 1}, {2, 2, true}, {3, 5}, {4, 1}}, Feed::no_key, observed), observed);
}

TEST(AsNginx, Consistent) {
  const char* observed =
    "4 3 4 3 3 3 0 0 1 3 3 3 3 1 3 3 3 0 3 3 0 3 0 3 1 0 3 0 3 3 3 0 4 3 3 3 3 3 0 3 4 3 0 3 0 4 3 1 3 3 0 4 1 0 3 0 0 0 3 3 "
    "3 3 0 3 3 3 3 3 3 4 3 1 0 3 0 1 1 3 0 3 3 0 0 0 3 3 3 0 3 0 3 3 3 3 1 3 3 0 0 3";
  EXPECT_EQ(play(ConsistentHash(), {{0, 3}, {1, 1}, {2, 2, true}, {3, 5}, {4, 1}}, Feed::keys, observed), observed);
}

TEST(AsNginx, ConsistentHeavyDown) {
  const char* observed =
    "4 3 4 3 3 3 0 0 1 3 3 3 3 1 3 3 3 0 3 3 0 3 0 3 1 0 3 0 3 3 3 0 4 3 3 3 3 3 0 3 4 3 0 3 0 4 3 1 3 3 0 4 1 0 3 0 0 0 3 3 "
    "3 3 0 3 3 3 3 3 3 4 3 1 0 3 0 1 1 3 0 3 3 0 0 0 3 3 3 0 3 0 3 3 3 3 1 3 3 0 0 3";
  EXPECT_EQ(play(ConsistentHash(), {{0, 3}, {1, 1}, {2, 20, true}, {3, 5}, {4, 1}}, Feed::keys, observed), observed);
}

TEST(AsNginx, ConsistentRetries) {
  const char* observed =
    "3 3 0 93 90 1 90 0 91 3 93 91 93 91 1 93 93 91 0 0 90 91 1 91 91 91 3 90 91 91 91 91 1 93 3 91 91 93 0 90 0 90 3 91 90 "
    "91 91 1 93 91 0 93 91 0 3 90 91 90 93 3 91 91 90 90 3 90 93 93 93 1 0 1 90 90 0 1 91 93 93 91 3 91 0 90 90 91 91 90 91 0 "
    "91 3 1 93 91 1 3 93 91 90";
  EXPECT_EQ(play(ConsistentHash(), {{0, 1}, {1, 2}, {9, 9, false, 0}, {3, 1}}, Feed::keys, observed), observed);
}

}  // namespace
}  // namespace fairlead
