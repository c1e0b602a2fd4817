// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Connection over sockets and over memory: where read bytes lie, writes in portions, what marks it broken, what it costs while idle.
#include "event/net/connection.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/clock.h"
#include "event/loop/nursery.h"
#include "event/net/memory.h"
#include "t/unit/event/loop/open_loop.h"

using namespace fairlead;

namespace {

struct ThreeAtATime final : MemoryScript {
  size_t accept_bytes(size_t offered) override { return std::min<size_t>(offered, 3); }
};

struct ConnectionTest : testing::Test {
  ConnectionTest() {
    signal(SIGPIPE, SIG_IGN);  // as a worker does: sendfile() and writev() cannot be told not to raise it
    process_clock.set_virtual(1'000);
    loop = open_loop();
  }
  ~ConnectionTest() override { process_clock.set_real(); }
  Watch* socket_pair(int& peer) {
    int ends[2];
    FL_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    peer = ends[1];
    auto watch = loop->watch(ends[0], PollMode::edge);
    FL_ASSERT(watch);
    loop->turn(0);
    return *watch;
  }
  void pass(uint64_t ms) {
    process_clock.set_virtual(process_clock.now_ms() + ms);
    loop->turn(0);
  }
  static std::string read_all(MemoryTransport& from) {
    std::string all;
    char block[100];
    for (;;) {
      IoResult got = from.read(block, sizeof block);
      if (got.status != IoStatus::ok) return all;
      all.append(block, got.bytes);
    }
  }
  std::unique_ptr<Loop> loop;
};

Task<Unit> write_text(Connection& to, std::string_view text, uint64_t timeout_ms, std::string& log) {
  Chain chain;
  while (!text.empty()) {  // in slices of seven
    chain.push_back(Slice(text.substr(0, 7)));
    text.remove_prefix(std::min<size_t>(7, text.size()));
  }
  auto written = co_await to.write(chain, timeout_ms);
  if (written) log += "written";
  else if (written.error().fault == Fault::timeout) log += "timeout";
  else log += written.error().fault == Fault::reset ? "reset" : "failed";
  co_return Unit();
}

}  // namespace

TEST_F(ConnectionTest, APlainOneIsNoLargerThanWhatItNeedsWhileIdle) {
  EXPECT_LE(sizeof(Connection), 72u);
}

TEST_F(ConnectionTest, FillKeepsUnreadBytesTogether) {
  int peer;
  Connection connection(socket_pair(peer), Side::client);
  ASSERT_EQ(write(peer, "abcdef", 6), 6);
  loop->turn(0);
  ASSERT_EQ(connection.fill(16).bytes, 6u);
  connection.consume(2);
  std::string rest(100, 'x');
  ASSERT_EQ(write(peer, rest.data(), rest.size()), 100);
  loop->turn(0);
  ASSERT_EQ(connection.fill(16, 100).bytes, 100u);
  EXPECT_EQ(connection.unread(), "cdef" + rest);
  EXPECT_EQ(connection.received_bytes(), 106u);
  close(peer);
}

TEST_F(ConnectionTest, ASliceKeepsItsBytesWhenMoreIsRead) {
  int peer;
  Connection connection(socket_pair(peer), Side::client);
  ASSERT_EQ(write(peer, "first", 5), 5);
  loop->turn(0);
  ASSERT_EQ(connection.fill(16).bytes, 5u);
  Slice first = connection.take_slice(5);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(write(peer, "second", 6), 6);
    loop->turn(0);
    ASSERT_EQ(connection.fill(16, 6).bytes, 6u);
    connection.consume(6);
  }
  EXPECT_EQ(first.view(), "first");
  close(peer);
}

TEST_F(ConnectionTest, GivesItsBufferBackWhenNothingIsUnread) {
  int peer;
  Connection connection(socket_pair(peer), Side::client);
  ASSERT_EQ(write(peer, "ab", 2), 2);
  loop->turn(0);
  ASSERT_EQ(connection.fill(16).bytes, 2u);
  connection.consume(1);
  connection.release_if_empty();
  EXPECT_EQ(connection.unread(), "b");
  connection.consume(1);
  connection.release_if_empty();
  EXPECT_FALSE(connection.segment());
  close(peer);
}

TEST_F(ConnectionTest, WritesInPortionsAndWaitsInBetween) {
  ThreeAtATime script;
  MemoryPair pair = MemoryPair::make(*loop, &script, nullptr);
  Connection connection(*pair.a, Side::client);
  Nursery nursery(*loop);
  std::string log;
  nursery.spawn(write_text(connection, "a text of some length", 1000, log));
  EXPECT_EQ(log, "");
  for (int i = 0; i < 20; ++i) pass(1);
  EXPECT_EQ(log, "written");
  EXPECT_EQ(read_all(*pair.b), "a text of some length");
  EXPECT_EQ(connection.sent_bytes(), 21u);
  EXPECT_FALSE(connection.is_broken());
}

TEST_F(ConnectionTest, AWriteThatNobodyReadsTimesOutAndBreaksIt) {
  MemoryPair pair = MemoryPair::make(*loop, nullptr, nullptr, 5);
  Connection connection(*pair.a, Side::client);
  Nursery nursery(*loop);
  std::string log;
  nursery.spawn(write_text(connection, "a text of some length", 1000, log));
  pass(999);
  EXPECT_EQ(log, "");
  pass(1);
  EXPECT_EQ(log, "timeout");
  EXPECT_TRUE(connection.is_broken());
}

TEST_F(ConnectionTest, TheTimeoutIsForEachWait) {
  MemoryPair pair = MemoryPair::make(*loop, nullptr, nullptr, 5);
  Connection connection(*pair.a, Side::client);
  Nursery nursery(*loop);
  std::string log, all;
  nursery.spawn(write_text(connection, "a text of some length", 1000, log));
  for (int i = 0; i < 6; ++i) {
    pass(900);
    all += read_all(*pair.b);
    loop->turn(0);
  }
  EXPECT_EQ(log, "written");
  EXPECT_EQ(all, "a text of some length");
}

TEST_F(ConnectionTest, AWriteDestroyedHalfDoneBreaksIt) {
  MemoryPair pair = MemoryPair::make(*loop, nullptr, nullptr, 5);
  Connection connection(*pair.a, Side::client);
  std::string log;
  {
    Nursery nursery(*loop);
    nursery.spawn(write_text(connection, "a text of some length", 1000, log));
  }
  EXPECT_TRUE(connection.is_broken());
}

TEST_F(ConnectionTest, AWriteToAResetPeerFailsAndBreaksIt) {
  MemoryPair pair = MemoryPair::make(*loop, nullptr, nullptr, 5);
  Connection connection(*pair.a, Side::client);
  Nursery nursery(*loop);
  std::string log;
  nursery.spawn(write_text(connection, "a text of some length", 1000, log));
  pair.b->reset();
  pass(1);
  EXPECT_EQ(log, "reset");
  EXPECT_TRUE(connection.is_broken());
}

TEST_F(ConnectionTest, SendsARangeOfAFileToASocket) {
  char name[] = "/tmp/fairlead_connection_XXXXXX";
  int file = mkstemp(name);
  unlink(name);
  ASSERT_EQ(write(file, "0123456789", 10), 10);
  int peer;
  Connection connection(socket_pair(peer), Side::client);
  EXPECT_EQ(connection.try_send_file(file, 2, 5).bytes, 5u);
  char got[16];
  ASSERT_EQ(read(peer, got, sizeof got), 5);
  EXPECT_EQ(std::string_view(got, 5), "23456");
  EXPECT_EQ(connection.try_send_file(file, 10, 5).status, IoStatus::end);
  EXPECT_EQ(connection.sent_bytes(), 5u);
  close(peer);
  EXPECT_EQ(connection.try_send_file(file, 0, 5).status, IoStatus::failed);
  EXPECT_TRUE(connection.is_broken());
  close(file);
}

TEST_F(ConnectionTest, ReadsToTheEndEvenIfItCameWithTheLastBytes) {
  int peer;
  Connection connection(socket_pair(peer), Side::client);
  ASSERT_EQ(write(peer, "bye", 3), 3);
  close(peer);
  loop->turn(0);
  ASSERT_EQ(connection.fill(100).bytes, 3u);
  EXPECT_TRUE(connection.watch().is_ready(Direction::read)) << "no event will come for the end";
  EXPECT_EQ(connection.fill(100).status, IoStatus::end);
}
