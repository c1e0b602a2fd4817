// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/peak_ewma.h"

#include <gtest/gtest.h>

#include <cmath>

#include "pick_client.h"

namespace fairlead {
namespace {

using namespace pick_test;
using Counts = std::map<int, int>;

TEST(PeakEwma, FollowsARiseAtOnceAndAFallSlowly) {
  PeerState state;
  PeakEwma::add_sample(state, 100, 1000, 10'000);
  EXPECT_DOUBLE_EQ(state.peak_ms, 100);
  PeakEwma::add_sample(state, 400, 1001, 10'000);
  EXPECT_DOUBLE_EQ(state.peak_ms, 400);
  PeakEwma::add_sample(state, 10, 11'001, 10'000);
  EXPECT_NEAR(state.peak_ms, 400 / std::exp(1) + 10 * (1 - 1 / std::exp(1)), 1e-9);
  // Above what is left of the average, though below the average itself: a peak.
  state.peak_ms = 100;
  state.peak_at_ms = 20'000;
  PeakEwma::add_sample(state, 50, 40'000, 10'000);
  EXPECT_DOUBLE_EQ(state.peak_ms, 50);
  // A clock that is behind: no time has passed.
  PeakEwma::add_sample(state, 1, 39'000, 10'000);
  EXPECT_DOUBLE_EQ(state.peak_ms, 50);
}

TEST(PeakEwma, CostIsTheAverageTimesTheTries) {
  PeakEwma method({.decay_ms = 10'000, .initial_ms = 30});
  PeerSet set({spec(1, 2), spec(2)});
  Arena::Owner arena = Arena::open(256);
  Random random{1};
  PickState pick;
  PickRequest request{pick, *arena, random, 1000, {}, nullptr, {}, 50'000};
  const Peer &heavy = set.all()[0], &light = set.all()[1];
  for (const Peer& peer : set.all()) peer.state->peak_at_ms = 50'000;
  EXPECT_DOUBLE_EQ(method.cost(light, request), 30);
  light.state->conns = heavy.state->conns = 2;
  EXPECT_DOUBLE_EQ(method.cost(light, request), 90);
  EXPECT_DOUBLE_EQ(method.cost(heavy, request), 60);
  light.state->peak_ms = 80;
  light.state->peak_at_ms = 40'000;
  EXPECT_NEAR(method.cost(light, request), 240 / std::exp(1), 1e-9);
  // Old times, first those of a new peer, count for no less than the grain of the clock.
  request.now_ms = 10'000'000;
  EXPECT_DOUBLE_EQ(method.cost(light, request), 3);
  EXPECT_DOUBLE_EQ(method.cost(heavy, request), 2);
}

TEST(PeakEwma, PeersThatAnswerAtOnceShareByWeightAndLoad) {
  PeakEwma method({.decay_ms = 10'000, .initial_ms = 30});
  Client client(method, {spec(1), spec(2), spec(3, 2)});
  client.now_ms = 1000;
  for (const Peer& peer : client.set.all()) PeakEwma::add_sample(*peer.state, 0, 1000, 10'000);
  Counts counts = client.counts(4000);
  EXPECT_NEAR(counts[1], 1000, 120);
  EXPECT_NEAR(counts[3], 2000, 150);
  client.set.all()[0].state->conns = 1;
  EXPECT_EQ(client.counts(1000).count(1), 0u);
}

TEST(PeakEwma, SlowStartLetsAPeerIntoSomePicks) {
  PeakEwma method({});
  PeerSpec slow = spec(1);
  slow.slow_start_s = 20;
  Client client(method, {slow, spec(2)});
  client.set.all()[0].state->back_s = 995;
  EXPECT_NEAR(client.counts(4000)[1], 500, 100);  // it takes part in a quarter, and shares that
  client.set.all()[1].state->vetoes = 1;
  EXPECT_EQ(client.counts(100)[1], 100);
}

TEST(PeakEwma, TwoPeersAreAlwaysComparedAndThreeByChance) {
  PeakEwma method({.decay_ms = 1e9, .initial_ms = 30});
  Client two(method, {spec(1), spec(2)});
  two.now_ms = 1000;
  PeakEwma::add_sample(*two.set.all()[0].state, 200, 1000, 1e9);
  PeakEwma::add_sample(*two.set.all()[1].state, 20, 1000, 1e9);
  EXPECT_EQ(two.counts(50), (Counts{{2, 50}}));
  Client three(method, {spec(1), spec(2), spec(3)});
  three.now_ms = 1000;
  for (uint16_t i = 0; i < 3; ++i) PeakEwma::add_sample(*three.set.all()[i].state, 10.0 + i, 1000, 1e9);
  Counts counts = three.counts(3000);
  EXPECT_EQ(counts.count(3), 0u);                // in every pair it is the dearer one
  EXPECT_NEAR(counts[1], 2000, 150);             // in two pairs of three it is the cheaper one
}

TEST(PeakEwma, LearnsFromGoodTriesOnlyAndSkipsWhatCannotServe) {
  PeakEwma method({});
  Client client(method, {down(spec(1)), spec(2), backup(spec(3))});
  client.now_ms = 500;
  client.begin();
  Pick pick = client.pick();
  EXPECT_EQ(pick.lease->spec.address.port(), 2);
  pick.lease.finish({TryEnd::ok, 1000, 70, 900, 600});
  const PeerState& state = *client.set.all()[1].state;
  EXPECT_DOUBLE_EQ(state.peak_ms, 70);
  EXPECT_EQ(state.peak_at_ms, 600u);
  client.begin();
  pick = client.pick();
  pick.lease.finish({TryEnd::failed, 1000, 1, 1, 700});
  EXPECT_EQ(state.peak_at_ms, 600u);
  client.begin();
  EXPECT_EQ(client.port(), 3);  // the primary is banned
}

}  // namespace
}  // namespace fairlead
