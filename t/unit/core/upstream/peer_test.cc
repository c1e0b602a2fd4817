// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/peer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "core/base/live.h"

namespace fairlead {
namespace {

PeerSpec spec(uint16_t port, uint32_t weight = 1) {
  PeerSpec made;
  made.address = Addr::inet(0x7f000001, port);
  made.name = made.server = made.address.text();
  made.weight = weight;
  return made;
}

void try_once(const PeerSet& set, const Peer& peer, TryReport report) {
  peer.note_picked(report.now_s);
  set.begin_try(peer);
  set.end_try(peer, report);
}

TEST(Peer, IsBannedForFailTimeoutInclusive) {
  PeerSet set({spec(1), spec(2)});
  const Peer& peer = set.all()[0];
  set.begin_try(peer);
  EXPECT_TRUE(set.end_try(peer, {TryEnd::failed, 100}));
  EXPECT_FALSE(peer.can_serve(110));
  EXPECT_TRUE(peer.can_serve(111));
  // The probe moves `checked`: nobody else for another fail_timeout.
  peer.note_picked(111);
  EXPECT_FALSE(peer.can_serve(112));
  set.begin_try(peer);
  set.end_try(peer, {TryEnd::ok, 112});
  EXPECT_EQ(peer.state->fails, 0u);
  EXPECT_TRUE(peer.can_serve(112));
}

TEST(Peer, IsNotBannedForLongerByAClockThatIsSetBack) {
  PeerSet set({spec(1), spec(2)});
  const Peer& peer = set.all()[0];
  set.begin_try(peer);
  set.end_try(peer, {TryEnd::failed, 10'000});
  EXPECT_FALSE(peer.can_serve(9'990));  // by no more than the ban: it lasts
  EXPECT_TRUE(peer.can_serve(9'989));
  EXPECT_TRUE(peer.can_serve(6'400));
  peer.note_picked(6'400);
  EXPECT_FALSE(peer.can_serve(6'401));  // one probe at a time here, too
  set.begin_try(peer);
  set.end_try(peer, {TryEnd::ok, 6'401});
  EXPECT_EQ(peer.state->fails, 0u);
  EXPECT_TRUE(peer.can_serve(6'402));
}

TEST(Peer, OneSuccessInTheWindowDoesNotResetFails) {
  PeerSpec three = spec(1, 9);
  three.max_fails = 3;
  PeerSet set({three, spec(2)});
  const Peer& peer = set.all()[0];
  try_once(set, peer, {TryEnd::failed, 100});
  EXPECT_EQ(peer.state->effective_weight, 6);
  try_once(set, peer, {TryEnd::ok, 101});
  try_once(set, peer, {TryEnd::failed, 102});
  EXPECT_EQ(peer.state->fails, 2u);
  EXPECT_TRUE(peer.can_serve(102));
  try_once(set, peer, {TryEnd::failed, 103});
  EXPECT_FALSE(peer.can_serve(103));
  EXPECT_EQ(peer.state->effective_weight, 0);
  try_once(set, peer, {TryEnd::failed, 103});
  EXPECT_EQ(peer.state->effective_weight, 0);
}

TEST(Peer, ZeroMaxFailsNeverBans) {
  PeerSpec tough = spec(1, 4);
  tough.max_fails = 0;
  PeerSet set({tough, spec(2)});
  for (int i = 0; i < 5; ++i) try_once(set, set.all()[0], {TryEnd::failed, 100});
  EXPECT_TRUE(set.all()[0].can_serve(100));
  EXPECT_EQ(set.all()[0].state->effective_weight, 4);
}

TEST(Peer, MaxConnsDownDrainAndVeto) {
  PeerSpec full = spec(1);
  full.max_conns = 2;
  PeerSpec down = spec(2);
  down.down = true;
  PeerSpec leaving = spec(3);
  leaving.drain = true;
  PeerSet set({full, down, leaving, spec(4)});
  set.begin_try(set.all()[0]);
  EXPECT_TRUE(set.all()[0].can_serve(0));
  set.begin_try(set.all()[0]);
  EXPECT_FALSE(set.all()[0].can_serve(0));
  set.end_try(set.all()[0], {});
  EXPECT_TRUE(set.all()[0].can_serve(0));
  EXPECT_FALSE(set.all()[1].can_serve_bound(0));
  EXPECT_FALSE(set.all()[2].can_serve(0));
  EXPECT_TRUE(set.all()[2].can_serve_bound(0));
  set.set_veto(set.all()[3], 1, true);
  set.set_veto(set.all()[3], 4, true);
  set.set_veto(set.all()[3], 1, false);
  EXPECT_FALSE(set.all()[3].can_serve(0));
  set.set_veto(set.all()[3], 4, false);
  EXPECT_TRUE(set.all()[3].can_serve(0));
}

TEST(Peer, AveragesTakeTheFirstSampleAsItIs) {
  PeerSet set({spec(1), spec(2)});
  const Peer& peer = set.all()[0];
  try_once(set, peer, {TryEnd::ok, 1, 100, 200});
  try_once(set, peer, {TryEnd::ok, 1, 200, -1});
  try_once(set, peer, {TryEnd::failed, 1, 9000, 9000});
  EXPECT_DOUBLE_EQ(peer.state->header_ms, 105);
  EXPECT_DOUBLE_EQ(peer.state->last_byte_ms, 200);
  EXPECT_EQ(peer.state->requests, 3u);
  EXPECT_EQ(peer.state->failures, 1u);
}

TEST(PeerSet, PutsBackupsBehindPrimaries) {
  PeerSpec backup = spec(1, 7);
  backup.backup = true;
  PeerSpec down = spec(3, 5);
  down.down = true;
  PeerSet set({backup, spec(2, 2), down});
  ASSERT_EQ(set.primaries().size(), 2u);
  EXPECT_EQ(set.primaries()[0].spec.name, "127.0.0.1:2");
  EXPECT_EQ(set.backups()[0].spec.name, "127.0.0.1:1");
  EXPECT_EQ(set.backups()[0].index, 2u);
  EXPECT_EQ(set.total_weight(), 7u);
  EXPECT_EQ(set.try_count(), 2u);
  EXPECT_FALSE(set.is_single());
}

TEST(PeerSet, RunningTriesCountInTheSetThatFollows) {
  auto before = std::make_unique<PeerSet>(std::vector{spec(1, 2), spec(2)});
  before->begin_try(before->all()[0]);
  before->begin_try(before->all()[1]);
  PeerSet next({spec(3), spec(1, 4)});
  next.carry_over(*before);
  const Peer& kept = next.all()[1];
  EXPECT_EQ(kept.state->conns, 1u);
  EXPECT_EQ(kept.state->effective_weight, 4);
  EXPECT_EQ(next.all()[0].state->conns, 0u);
  EXPECT_TRUE(before->end_try(before->all()[0], {TryEnd::failed, 100}));
  EXPECT_EQ(kept.state->conns, 0u);
  EXPECT_FALSE(kept.can_serve(105));
  before.reset();
  try_once(next, kept, {TryEnd::failed, 111});
  EXPECT_EQ(kept.state->fails, 2u);
}

TEST(PeerSet, APeerThatComesBackGoesOnWhileItsTriesRun) {
  PeerSet first({spec(1), spec(2)});
  first.begin_try(first.all()[0]);
  PeerSet second({spec(2)}), third({spec(2), spec(3)}), fourth({spec(1), spec(3)}), fifth({spec(3)}), sixth({spec(1)});
  second.carry_over(first);
  third.carry_over(second);
  fourth.carry_over(third);
  EXPECT_EQ(fourth.all()[0].state->conns, 1u);
  fifth.carry_over(fourth);
  first.end_try(first.all()[0], {TryEnd::failed, 100});
  sixth.carry_over(fifth);
  EXPECT_EQ(sixth.all()[0].state->failures, 0u);  // anew
}

TEST(PeerSet, TwinsAreFollowedOneByOne) {
  PeerSet before({spec(1), spec(1), spec(2)});
  before.begin_try(before.all()[0]);
  before.begin_try(before.all()[0]);
  before.begin_try(before.all()[1]);
  PeerSet next({spec(2), spec(1), spec(1), spec(1)});
  next.carry_over(before);
  EXPECT_EQ(next.all()[1].state->conns, 2u);
  EXPECT_EQ(next.all()[2].state->conns, 1u);
  EXPECT_EQ(next.all()[3].state->conns, 0u);
}

TEST(PeerLease, CountsUntilFinishedOrDestroyed) {
  PeerSet set({spec(1), spec(2)});
  const Peer& peer = set.all()[0];
  {
    set.begin_try(peer);
    PeerLease lease(set, peer);
    PeerLease moved = std::move(lease);
    EXPECT_FALSE(lease);
    EXPECT_EQ(peer.state->conns, 1u);
  }
  EXPECT_EQ(peer.state->conns, 0u);
  EXPECT_EQ(peer.state->fails, 0u);
  set.begin_try(peer);
  PeerLease lease(set, peer);
  EXPECT_TRUE(lease.finish({TryEnd::failed, 5}));
  EXPECT_FALSE(lease.finish({TryEnd::failed, 5}));
  EXPECT_EQ(peer.state->fails, 1u);
}

struct CountingLock {
  int locked = 0, times = 0;
  void lock() {
    EXPECT_EQ(locked++, 0);
    ++times;
  }
  void unlock() { EXPECT_EQ(--locked, 0); }
};

struct SharedTable : testing::Test {
  static constexpr size_t peers = 4;
  static constexpr uint32_t slots = 3;
  size_t bytes = PeerTable::bytes_for(peers, slots);
  void* memory = std::aligned_alloc(16, (bytes + 15) / 16 * 16);
  PeerTable* table = PeerTable::create(memory, bytes, slots);
  CountingLock lock;
  PeerLockOn<CountingLock> peer_lock{lock};
  PeerShare share{table, &peer_lock, 1};
  ~SharedTable() override { std::free(memory); }
};

TEST_F(SharedTable, HoldsAsManyAsItWasMadeFor) {
  EXPECT_EQ(table->capacity(), peers);
  EXPECT_EQ(PeerTable::at(memory), table);
  {
    Result<PeerSet> set = PeerSet::make_shared({spec(1), spec(2), spec(3), spec(4)}, share);
    ASSERT_TRUE(set);
    EXPECT_EQ(table->used(), 4u);
    Result<PeerSet> more = PeerSet::make_shared({spec(1), spec(5)}, share);
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().fault, Fault::exhausted);
    EXPECT_EQ(table->used(), 4u);
  }
  EXPECT_EQ(table->used(), 0u);
}

TEST_F(SharedTable, GroupsAndTwinsHaveStatesOfTheirOwn) {
  PeerShare other{table, &peer_lock, 1, "other"};
  auto twins = PeerSet::make_shared({spec(1), spec(1)}, share);
  auto same = PeerSet::make_shared({spec(1)}, other);
  ASSERT_TRUE(twins && same);
  EXPECT_EQ(table->used(), 3u);
  try_once(*twins, twins->all()[0], {TryEnd::failed, 100});
  EXPECT_EQ(twins->all()[0].state->fails, 1u);
  EXPECT_EQ(twins->all()[1].state->fails, 0u);
  EXPECT_EQ(same->all()[0].state->fails, 0u);
}

TEST_F(SharedTable, KeepsTheStateOfKnownPeersOverAReload) {
  auto old = PeerSet::make_shared({spec(1, 3), spec(2)}, share);
  ASSERT_TRUE(old);
  const Peer& first = old->all()[0];
  try_once(*old, first, {TryEnd::failed, 100});
  PeerState* state = first.state;
  {
    auto next = PeerSet::make_shared({spec(9), spec(1, 3)}, share);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->all()[1].state, state);
    EXPECT_FALSE(next->all()[1].can_serve(105));
    EXPECT_TRUE(next->all()[0].can_serve(105));
    EXPECT_EQ(table->used(), 3u);
    // Another weight: credits start anew, failures stay.
    auto heavier = PeerSet::make_shared({spec(1, 5), spec(2)}, share);
    ASSERT_TRUE(heavier);
    EXPECT_EQ(state->effective_weight, 5);
    EXPECT_EQ(state->fails, 1u);
  }
  EXPECT_EQ(table->used(), 2u);
}

TEST_F(SharedTable, ReusesFreedRecordsAndStillFindsThoseBehind) {
  for (uint16_t round = 0; round < 50; ++round) {
    auto kept = PeerSet::make_shared({spec(static_cast<uint16_t>(1000 + round))}, share);
    ASSERT_TRUE(kept);
    PeerState* state = kept->all()[0].state;
    EXPECT_EQ(state->requests, 0u);
    state->requests = 7;
    { auto passing = PeerSet::make_shared({spec(round), spec(static_cast<uint16_t>(500 + round))}, share); ASSERT_TRUE(passing); }
    auto again = PeerSet::make_shared({spec(static_cast<uint16_t>(1000 + round))}, share);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->all()[0].state, state);
    EXPECT_EQ(table->used(), 1u);
  }
}

TEST_F(SharedTable, ASetThatFindsNoRoomStartsWithWhatWasKnown) {
  auto full = PeerSet::make_shared({spec(1), spec(2), spec(3), spec(4)}, share);
  ASSERT_TRUE(full);
  const Peer& banned = full->all()[0];
  try_once(*full, banned, {TryEnd::failed, 100});
  full->begin_try(banned);
  PeerSet own({spec(1), spec(5)});
  own.carry_over(*full);
  EXPECT_FALSE(own.all()[0].can_serve(105));
  EXPECT_EQ(own.all()[0].state->conns, 0u);
  EXPECT_TRUE(own.all()[1].can_serve(105));
  full->end_try(banned, {});
}

TEST_F(SharedTable, AKilledWorkerLeavesNoConnections) {
  share.slot = 0;  // the master's, who made the set
  auto set = PeerSet::make_shared({spec(1), spec(2)}, share);
  ASSERT_TRUE(set);
  const Peer& peer = set->all()[0];
  share.slot = 1;
  set->begin_try(peer);
  set->begin_try(peer);
  share.slot = 2;
  set->begin_try(peer);
  EXPECT_EQ(peer.state->conns, 3u);
  table->clear_slot(1);
  EXPECT_EQ(peer.state->conns, 1u);
  set->end_try(peer, {});
  EXPECT_EQ(peer.state->conns, 0u);
  share.slot = 0;
}

// Names that lead elsewhere make new sets in a worker: what one that was killed held must not fill the table.
TEST_F(SharedTable, AKilledWorkerLeavesNoReferences) {
  constexpr uint32_t master = 0, worker = 2;
  PeerKey kept{1};
  PeerState* state = table->acquire(kept, 1, master);
  for (unsigned char round = 0; round < 20; ++round) {
    PeerKey own{2, round};
    EXPECT_EQ(table->acquire(kept, 1, worker), state);
    ASSERT_TRUE(table->acquire(own, 1, worker) && table->acquire(own, 1, worker)) << "round " << round;
    EXPECT_EQ(table->used(), 2u);
    table->clear_slot(worker);
    EXPECT_EQ(table->used(), 1u);
  }
  EXPECT_EQ(table->acquire(kept, 1, worker), state) << "the master holds it";
  table->release(state, master);
  EXPECT_EQ(table->used(), 1u);
  table->clear_slot(worker);
  EXPECT_EQ(table->used(), 0u);
}

TEST_F(SharedTable, RepairRestoresTheSums) {
  auto set = PeerSet::make_shared({spec(1, 2), spec(2)}, share);
  ASSERT_TRUE(set);
  PeerState& state = *set->all()[0].state;
  set->begin_try(set->all()[0]);
  state.conns = 77;
  state.effective_weight = -4;
  table->repair();
  EXPECT_EQ(state.conns, 1u);
  EXPECT_EQ(state.effective_weight, 0);
  set->end_try(set->all()[0], {});
}

TEST_F(SharedTable, LocksAroundWhatChanges) {
  auto set = PeerSet::make_shared({spec(1)}, share);
  ASSERT_TRUE(set);
  int before = lock.times;
  set->begin_try(set->all()[0]);
  set->end_try(set->all()[0], {});
  set->set_veto(set->all()[0], 1, true);
  EXPECT_EQ(lock.times, before + 2);
}

struct Tracked {
  explicit Tracked(int* alive) : alive_(alive) { ++*alive_; }
  Tracked(Tracked&& other) noexcept : alive_(other.alive_) { ++*alive_; }
  ~Tracked() { --*alive_; }
  int* alive_;
};

TEST(Live, TheOldVersionGoesWithItsLastUser) {
  int alive = 0;
  {
    Live<Tracked> live{Tracked(&alive)};
    std::optional<Live<Tracked>::Ref> first(live.use()), second(*first);
    EXPECT_EQ(first->number(), 1u);
    live.replace(Tracked(&alive));
    EXPECT_EQ(live.number(), 2u);
    EXPECT_EQ(alive, 2);
    first.reset();
    EXPECT_EQ(alive, 2);
    second = live.use();
    EXPECT_EQ(alive, 1);
    live.replace(Tracked(&alive));
    EXPECT_EQ(second->number(), 2u);
    EXPECT_EQ(alive, 2);
  }
  EXPECT_EQ(alive, 0);
}

TEST(Live, ARefMayOutliveIt) {
  int alive = 0;
  Live<Tracked>::Ref ref;
  EXPECT_FALSE(ref);
  {
    Live<Tracked> live{Tracked(&alive)};
    ref = live.use();
  }
  EXPECT_EQ(alive, 1);
  ref = {};
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace fairlead
