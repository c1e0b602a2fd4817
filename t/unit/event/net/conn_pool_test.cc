// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The pool of idle connections: the most recent of a key first, the longest idle goes, time and count limits, peers
// that close or speak unasked.
#include "event/net/conn_pool.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "core/base/clock.h"
#include "t/unit/event/loop/open_loop.h"

using namespace fairlead;

namespace {

struct ConnPoolTest : testing::Test {
  ConnPoolTest() {
    process_clock.set_virtual(1'000'000);
    loop = open_loop();
  }
  ~ConnPoolTest() override {
    for (int peer : peers)
      if (peer >= 0) close(peer);
    process_clock.set_real();
  }
  // A connection whose other end is peers.back().
  std::unique_ptr<PooledConnection> make(std::string_view key) {
    int ends[2];
    FL_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    peers.push_back(ends[1]);
    auto watch = loop->watch(ends[0], PollMode::edge);
    FL_ASSERT(watch);
    loop->turn(0);
    auto made = std::make_unique<PooledConnection>(*watch, PoolKey::of(key));
    made->requests = 1;
    return made;
  }
  bool peer_sees_end(size_t index) {
    char byte;
    return recv(peers[index], &byte, 1, 0) == 0;
  }
  void pass(uint64_t ms) {
    process_clock.set_virtual(process_clock.now_ms() + ms);
    loop->turn(0);
  }
  std::unique_ptr<Loop> loop;
  std::vector<int> peers;
};

}  // namespace

TEST_F(ConnPoolTest, GivesTheMostRecentOfTheKey) {
  ConnPool pool(*loop, PoolLimits{});
  auto first = make("a"), second = make("a"), other = make("b");
  PooledConnection *first_at = first.get(), *second_at = second.get();
  pool.put(std::move(first));
  pool.put(std::move(second));
  pool.put(std::move(other));
  EXPECT_EQ(pool.idle_count(), 3u);
  EXPECT_EQ(pool.take(PoolKey::of("c")), nullptr);
  auto taken = pool.take(PoolKey::of("a"));
  EXPECT_EQ(taken.get(), second_at);
  auto next = pool.take(PoolKey::of("a"));
  EXPECT_EQ(next.get(), first_at);
  EXPECT_EQ(pool.take(PoolKey::of("a")), nullptr);
  EXPECT_EQ(pool.idle_count(), 1u);
}

TEST_F(ConnPoolTest, WhenFullTheLongestIdleGoes) {
  ConnPool pool(*loop, PoolLimits{2, 60'000, 1000, 3'600'000});
  for (const char* key : {"a", "b", "c"}) pool.put(make(key));
  EXPECT_EQ(pool.idle_count(), 2u);
  EXPECT_TRUE(peer_sees_end(0));
  EXPECT_FALSE(peer_sees_end(1));
  EXPECT_EQ(pool.take(PoolKey::of("a")), nullptr);
  EXPECT_NE(pool.take(PoolKey::of("b")), nullptr);
}

TEST_F(ConnPoolTest, IdleTimeEndsEachAtItsOwnTime) {
  ConnPool pool(*loop, PoolLimits{32, 10'000, 1000, 3'600'000});
  pool.put(make("a"));
  pass(6'000);
  pool.put(make("b"));
  pass(3'999);
  EXPECT_EQ(pool.idle_count(), 2u);
  pass(1);
  EXPECT_EQ(pool.idle_count(), 1u);
  EXPECT_TRUE(peer_sees_end(0));
  pass(5'999);
  EXPECT_EQ(pool.idle_count(), 1u);
  pass(1);
  EXPECT_EQ(pool.idle_count(), 0u);
  EXPECT_EQ(loop->timers().next_ms(), TimerWheel::never);
}

TEST_F(ConnPoolTest, OneMayBeKeptByLimitsOfItsOwn) {
  ConnPool pool(*loop, PoolLimits{32, 10'000, 3, 3'600'000});
  pool.put(make("a"));
  pool.put(make("b"), {.idle_timeout_ms = 2'000});
  pool.put(make("c"), {.idle_timeout_ms = 20'000});
  pass(1'999);
  EXPECT_EQ(pool.idle_count(), 3u);
  pass(1);
  EXPECT_TRUE(peer_sees_end(1));
  EXPECT_EQ(pool.idle_count(), 2u);
  pass(8'000);
  EXPECT_TRUE(peer_sees_end(0));
  EXPECT_EQ(pool.idle_count(), 1u);
  pass(10'000);
  EXPECT_EQ(pool.idle_count(), 0u);
  EXPECT_EQ(loop->timers().next_ms(), TimerWheel::never);
  for (uint64_t most : {0, 1, 4}) {
    auto used = make("d");
    used->requests = 3;
    pool.put(std::move(used), {.requests_max = most});
    EXPECT_EQ(pool.idle_count(), most == 4 ? 1u : 0u);
  }
}

TEST_F(ConnPoolTest, RequestsAndAgeEndAConnection) {
  ConnPool pool(*loop, PoolLimits{32, 60'000, 3, 100'000});
  auto used = make("a");
  used->requests = 3;
  pool.put(std::move(used));
  EXPECT_EQ(pool.idle_count(), 0u);
  auto old = make("a");
  pass(100'000);
  pool.put(std::move(old));
  EXPECT_EQ(pool.idle_count(), 0u);
  EXPECT_TRUE(peer_sees_end(0));
  EXPECT_TRUE(peer_sees_end(1));
}

TEST_F(ConnPoolTest, NothingIsKeptWithoutRoom) {
  ConnPool pool(*loop, PoolLimits{0, 60'000, 1000, 3'600'000});
  pool.put(make("a"));
  EXPECT_EQ(pool.idle_count(), 0u);
}

TEST_F(ConnPoolTest, APeerThatClosesLeavesThePool) {
  ConnPool pool(*loop, PoolLimits{});
  pool.put(make("a"));
  close(std::exchange(peers[0], -1));
  loop->turn(0);
  EXPECT_EQ(pool.idle_count(), 0u);
  EXPECT_EQ(loop->watch_count(), 0u);
}

TEST_F(ConnPoolTest, APeerThatSpeaksUnaskedLeavesThePool) {
  ConnPool pool(*loop, PoolLimits{});
  pool.put(make("a"));
  ASSERT_EQ(write(peers[0], "HTTP/1.1 408", 12), 12);
  loop->turn(0);
  EXPECT_EQ(pool.idle_count(), 0u);
}

TEST_F(ConnPoolTest, OnePutAfterThePeerClosedIsNotKept) {
  ConnPool pool(*loop, PoolLimits{});
  auto connection = make("a");
  close(std::exchange(peers[0], -1));
  loop->turn(0);
  pool.put(std::move(connection));
  EXPECT_EQ(pool.idle_count(), 0u);
}

// The peer spoke in the time between the answer and put(): the event has come, nothing will come again.
TEST_F(ConnPoolTest, OnePutAfterThePeerSpokeUnaskedIsNotKept) {
  ConnPool pool(*loop, PoolLimits{});
  auto connection = make("a");
  connection->connection.watch().set_ready(Direction::read, false);
  ASSERT_EQ(write(peers[0], "x", 1), 1);
  loop->turn(0);
  pool.put(std::move(connection));
  EXPECT_EQ(pool.take(PoolKey::of("a")), nullptr);
}

TEST_F(ConnPoolTest, AReadinessThatIsOnlyLeftOverDoesNoHarm) {
  ConnPool pool(*loop, PoolLimits{});
  auto connection = make("a");
  connection->connection.watch().set_ready(Direction::read, true);
  PooledConnection* at = connection.get();
  pool.put(std::move(connection));
  EXPECT_EQ(pool.idle_count(), 1u);
  EXPECT_FALSE(at->connection.segment());
}

TEST_F(ConnPoolTest, OneTakenIsNoLongerThePoolsWhenThePeerCloses) {
  ConnPool pool(*loop, PoolLimits{});
  pool.put(make("a"));
  auto taken = pool.take(PoolKey::of("a"));
  close(std::exchange(peers[0], -1));
  loop->turn(0);
  loop->turn(0);
  EXPECT_TRUE(taken->connection.watch().has_hung_up());
  pool.put(std::move(taken));
  EXPECT_EQ(pool.idle_count(), 0u);
}

TEST_F(ConnPoolTest, AnIdleConnectionHoldsNoBuffer) {
  ConnPool pool(*loop, PoolLimits{});
  auto connection = make("a");
  ASSERT_EQ(write(peers[0], "answer", 6), 6);
  loop->turn(0);
  ASSERT_EQ(connection->connection.fill(4096).bytes, 6u);
  connection->connection.consume(6);
  PooledConnection* at = connection.get();
  pool.put(std::move(connection));
  EXPECT_FALSE(at->connection.segment());
}
