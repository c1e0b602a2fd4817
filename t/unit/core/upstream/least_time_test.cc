// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/least_time.h"

#include <gtest/gtest.h>

#include "core/upstream/random.h"
#include "pick_client.h"

namespace fairlead {
namespace {

using namespace pick_test;
using Counts = std::map<int, int>;
using Measure = LeastTime::Measure;

// What a peer with these averages is expected to take at 1000 s, chosen at `checked_s` for the last time.
uint64_t expected(const LeastTime& method, double header_ms, double last_byte_ms, int64_t checked_s = 1000, uint32_t conns = 0) {
  PeerSet set({spec(1), spec(2)});
  PeerState& state = *set.all()[0].state;
  state.header_ms = header_ms;
  state.last_byte_ms = last_byte_ms;
  state.checked_s = checked_s;
  state.conns = conns;
  Arena::Owner arena = Arena::open(256);
  Random random{1};
  PickState pick;
  return method.expected_ms(set.all()[0], PickRequest{pick, *arena, random, 1000});
}

TEST(LeastTime, RoundsUpToStepsAndCaps) {
  LeastTime header(Measure::header, false), last(Measure::last_byte, false);
  EXPECT_EQ(expected(header, 0, 0), 20u);
  EXPECT_EQ(expected(header, 19.9, 0), 20u);
  EXPECT_EQ(expected(header, 20, 0), 40u);
  EXPECT_EQ(expected(header, 5000, 0), 5020u);
  EXPECT_EQ(expected(header, 5001, 0), 5000u);
  EXPECT_EQ(expected(header, 70'000, 1), 5000u);
  EXPECT_EQ(expected(last, 1, 100), 120u);
  EXPECT_EQ(expected(last, 1, 100, 1000, 3), 480u);
}

TEST(LeastTime, HalvesOncePerFailTimeoutWithoutAChoice) {
  LeastTime method(Measure::header, false);
  EXPECT_EQ(expected(method, 1000, 0, 990), 1020u);  // ten seconds: not longer than fail_timeout
  EXPECT_EQ(expected(method, 1000, 0, 989), 520u);
  EXPECT_EQ(expected(method, 1000, 0, 978), 260u);  // 250
  EXPECT_EQ(expected(method, 1000, 0, 0), 20u);
}

// Every try on a port takes its time.
Counts serve(const Balancer& method, std::vector<PeerSpec> specs, const std::map<int, int64_t>& times, int requests) {
  Client client(method, std::move(specs));
  Counts counts;
  for (int i = 0; i < requests; ++i) {
    client.begin();
    Pick pick = client.pick();
    int port = pick.lease->spec.address.port();
    ++counts[port];
    pick.lease.finish({TryEnd::ok, 1000, times.at(port), 2 * times.at(port)});
  }
  return counts;
}

TEST(LeastTime, PrefersTheFasterForItsWeight) {
  LeastTime method(Measure::header, false);
  // One try each to learn, then the fastest.
  EXPECT_EQ(serve(method, {spec(1), spec(2), spec(3)}, {{1, 100}, {2, 30}, {3, 100}}, 100), (Counts{{1, 1}, {2, 98}, {3, 1}}));
  // Those in one step of 20 ms take turns; 45 and 59 are alike.
  EXPECT_EQ(serve(method, {spec(1), spec(2)}, {{1, 45}, {2, 59}}, 100), (Counts{{1, 50}, {2, 50}}));
  // 80 ms for a weight of eight are ten; the other one is expected to take 20.
  EXPECT_EQ(serve(method, {spec(1, 8), spec(2, 1)}, {{1, 75}, {2, 10}}, 100).at(1), 100);
}

TEST(LeastTime, FailedTriesTeachNothing) {
  LeastTime method(Measure::header, false);
  PeerSpec flaky = spec(1);
  flaky.max_fails = 0;
  Client client(method, {flaky, spec(2)});
  client.begin();
  Pick pick = client.pick();
  pick.lease.finish({TryEnd::failed, 1000, 1, 1});
  EXPECT_EQ(client.set.all()[0].state->header_ms, 0);
}

TEST(LeastTime, InflightSeesAPeerThatHangsBeforeItsAverageDoes) {
  LeastTime method(Measure::last_byte, true);
  Client client(method, {spec(1, 100), spec(2)});
  client.now_ms = 10'000;
  client.begin();
  Pick hanging = client.pick();
  ASSERT_EQ(hanging.lease->spec.address.port(), 1);
  client.now_ms = 10'010;
  EXPECT_EQ(client.counts(10), (Counts{{1, 10}}));
  client.now_ms = 14'500;  // 4520 ms by two for a weight of 100 are more than 20 ms
  EXPECT_EQ(client.counts(10), (Counts{{2, 10}}));
  Client equal(method, {spec(1), spec(2)});
  equal.now_ms = 10'000;
  equal.begin();
  Pick stuck = equal.pick();
  int port = stuck.lease->spec.address.port();
  equal.now_ms = 10'500;
  Counts counts = equal.counts(10);
  EXPECT_EQ(counts[port], 0);
  stuck.lease.finish({TryEnd::unknown, 1000});
  EXPECT_EQ(equal.set.all()[static_cast<size_t>(port - 1)].state->inflight, 0u);
}

TEST(LeastTime, InflightOfHeaderEndsWithTheHead) {
  LeastTime method(Measure::header, true);
  Client client(method, {spec(1), spec(2)});
  client.now_ms = 10'000;
  client.begin();
  Pick long_body = client.pick();
  PeerState& state = *client.set.all()[long_body.lease->index].state;
  EXPECT_EQ(state.inflight, 1u);
  long_body.lease.note_reply();
  long_body.lease.note_reply();
  EXPECT_EQ(state.inflight, 0u);
  EXPECT_EQ(state.conns, 1u);
  long_body.lease.finish({TryEnd::ok, 1000, 5, 900});
  EXPECT_EQ(state.inflight, 0u);
  EXPECT_EQ(state.inflight_started_ms, 0u);
}

TEST(LeastTime, BackupsServeWhenNoPrimaryCan) {
  LeastTime method(Measure::header, false);
  Client client(method, {down(spec(1)), backup(spec(2)), backup(spec(3))});
  EXPECT_EQ(client.counts(4), (Counts{{2, 2}, {3, 2}}));
}

TEST(LeastTime, RandomTwoTakesTheFasterOfItsDraws) {
  RandomChoice method(RandomChoice::Way::two_least_time, Measure::header);
  Counts counts = serve(method, {spec(1), spec(2)}, {{1, 100}, {2, 30}}, 200);
  EXPECT_LE(counts[1], 1);
}

TEST(LeastTime, AKilledWorkersTriesAreForgotten) {
  PeerState state;
  state.conns = state.inflight = 4;
  state.inflight_started_ms = 4000;
  state.lose_conns(1);
  EXPECT_EQ(state.inflight, 1u);
  EXPECT_EQ(state.inflight_started_ms, 1000u);
  state.lose_conns(0);
  EXPECT_EQ(state.inflight_started_ms, 0u);
}

TEST(LeastTime, SlowStartGivesAShareToAPeerThatNobodyTiesWith) {
  LeastTime method(Measure::header, false);
  PeerSpec slow = spec(1);
  slow.slow_start_s = 20;
  for (auto [own_ms, other_ms] : {std::pair{10, 10}, {10, 500}}) {
    Client client(method, {slow, spec(2)});
    client.set.all()[0].state->back_s = 995;
    client.set.all()[0].state->header_ms = own_ms;
    client.set.all()[1].state->header_ms = other_ms;
    for (const Peer& peer : client.set.all()) peer.state->checked_s = 1000;
    EXPECT_NEAR(client.counts(1000)[1], own_ms == other_ms ? 125 : 250, 50);
    EXPECT_GT(client.counts(1000, 1020)[1], 490);
  }
}

}  // namespace
}  // namespace fairlead
