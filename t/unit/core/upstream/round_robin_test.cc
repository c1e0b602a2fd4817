// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/round_robin.h"

#include <gtest/gtest.h>

#include "core/upstream/least_conn.h"
#include "pick_client.h"

namespace fairlead {
namespace {

using namespace pick_test;
using Counts = std::map<int, int>;

PeerSpec slow(PeerSpec made, int64_t seconds) {
  made.slow_start_s = seconds;
  return made;
}

PeerSpec routed(PeerSpec made, std::string route) {
  made.route = std::move(route);
  return made;
}

// Bans port 1 at 100, so that a probe of 111 brings it back.
void bring_back(Client& client) {
  for (;;) {
    client.begin();
    Pick pick = client.pick(100);
    bool is_first = pick.lease->spec.address.port() == 1;
    pick.lease.finish({is_first ? TryEnd::failed : TryEnd::ok, 100});
    if (is_first) break;
  }
  while (client.set.all()[0].state->back_s == 0) {
    client.begin();
    client.port(TryEnd::ok, 111);
  }
}

TEST(SlowStart, ShareGrowsFromATenthToAllOfIt) {
  RoundRobin method;
  Client client(method, {slow(spec(1), 20), spec(2)});
  bring_back(client);
  const Peer& peer = client.set.all()[0];
  EXPECT_EQ(peer.state->back_s, 111);
  Counts shares;
  for (int64_t now : {111, 112, 113, 121, 130, 131, 500}) shares[static_cast<int>(now)] = static_cast<int>(peer.share_percent(now));
  EXPECT_EQ(shares, (Counts{{111, 10}, {112, 10}, {113, 10}, {121, 50}, {130, 95}, {131, 100}, {500, 100}}));
  EXPECT_EQ(peer.share_percent(91), 10);
  EXPECT_EQ(peer.share_percent(90), 100);  // the clock was set back by more than slow_start
}

TEST(SlowStart, CountsFollowTheShare) {
  RoundRobin method;
  Client client(method, {slow(spec(1), 20), spec(2)});
  bring_back(client);
  // Of what a share leaves of its last round the next one begins with.
  EXPECT_NEAR(client.counts(1100, 113)[1], 100, 1);
  EXPECT_NEAR(client.counts(1500, 121)[1], 500, 1);
  EXPECT_NEAR(client.counts(1000, 131)[1], 500, 1);
}

TEST(SlowStart, IsNothingAtTheStartAndForALonePeer) {
  RoundRobin method;
  Client fresh(method, {slow(spec(1), 60), spec(2)});
  EXPECT_EQ(fresh.counts(10), (Counts{{1, 5}, {2, 5}}));
  Client lone(method, {slow(spec(1), 60)});
  lone.begin();
  EXPECT_EQ(lone.port(TryEnd::failed, 100), 1);
  EXPECT_EQ(lone.set.all()[0].share_percent(112), 100);
}

TEST(SlowStart, BeginsWhenTheLastVetoIsGone) {
  PeerSet set({slow(spec(1), 10), spec(2)});
  const Peer& peer = set.all()[0];
  set.set_veto(peer, 1, true, 50);
  set.set_veto(peer, 2, true, 50);
  set.set_veto(peer, 1, false, 60);
  EXPECT_EQ(peer.share_percent(61), 100);
  set.set_veto(peer, 2, false, 70);
  EXPECT_EQ(peer.share_percent(75), 50);
}

TEST(SlowStart, LeastConnGivesItFewerConnections) {
  LeastConn method;
  Client client(method, {slow(spec(1), 20), spec(2)});
  client.set.set_veto(client.set.all()[0], 1, true);
  client.set.set_veto(client.set.all()[0], 1, false, 111);
  std::vector<PeerLease> held;
  Counts counts;
  for (int i = 0; i < 22; ++i) {
    client.begin();
    Pick pick = client.pick(113);
    ++counts[pick.lease->spec.address.port()];
    held.push_back(std::move(pick.lease));
  }
  EXPECT_EQ(counts, (Counts{{1, 2}, {2, 20}}));
}

TEST(Bound, GoesToItsPeerAndLeavesTheRestToTheOthers) {
  RoundRobin method;
  Client client(method, {routed(spec(1), "a"), routed(spec(2), "b"), routed(spec(3), "c")});
  client.bound = "a";
  EXPECT_EQ(client.counts(10), (Counts{{1, 10}}));
  // The ten are counted: the others catch up before the first gets one that is bound to none.
  client.bound.clear();
  EXPECT_EQ(client.counts(20), (Counts{{2, 10}, {3, 10}}));
  EXPECT_EQ(client.counts(3), (Counts{{1, 1}, {2, 1}, {3, 1}}));
}

TEST(Bound, IsRebalancedWhenItsPeerCannotServe) {
  RoundRobin method;
  PeerSpec full = routed(spec(1), "a");
  full.max_conns = 1;
  Client client(method, {full, spec(2), down(routed(spec(3), "c"))});
  client.bound = "a";
  client.begin();
  Pick first = client.pick();
  client.begin();
  EXPECT_EQ(client.port(), 2);
  first.lease.finish({TryEnd::failed, 1000});
  client.begin();
  EXPECT_EQ(client.port(), 2);  // banned
  client.bound = "c";
  client.begin();
  EXPECT_EQ(client.port(), 2);  // down
  client.bound = "nobody's";
  client.begin();
  EXPECT_EQ(client.port(), 2);
}

TEST(Bound, TriesOthersAfterItsPeer) {
  RoundRobin method;
  Client client(method, {spec(1), routed(spec(2), "b"), spec(3)});
  client.bound = "b";
  client.begin();
  EXPECT_EQ(client.port(TryEnd::failed), 2);
  EXPECT_NE(client.port(), 0);
  EXPECT_NE(client.port(), 0);
  EXPECT_EQ(client.port(), 0);
  EXPECT_EQ(client.last, PickStatus::all_tried);
}

TEST(Bound, OneThatLeavesServesOnlyWhatIsBoundToIt) {
  RoundRobin method;
  PeerSpec leaving = routed(spec(1), "a");
  leaving.drain = true;
  Client client(method, {leaving, spec(2), backup(routed(spec(3), "c"))});
  EXPECT_EQ(client.set.try_count(), 2u);
  EXPECT_EQ(client.counts(4), (Counts{{2, 4}}));
  client.bound = "a";
  EXPECT_EQ(client.counts(4), (Counts{{1, 4}}));
  client.bound = "c";
  EXPECT_EQ(client.counts(4), (Counts{{3, 4}}));
  PeerSpec lone = leaving;
  Client alone(method, {lone});
  alone.begin();
  EXPECT_EQ(alone.port(), 0);
  alone.bound = "a";
  EXPECT_EQ(alone.port(), 1);
}

}  // namespace
}  // namespace fairlead
