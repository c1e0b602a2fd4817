// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the loop relies on, whatever the kernel's facility: each mode's events, edges once, tokens, removal. Facilities
// that are not built in are
// skipped by name.
#include "event/loop/poller.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <map>

using namespace fairlead;

namespace {

struct Seen {
  bool readable = false, writable = false, hangup = false;
  int count = 0;
};

struct PollerTest : testing::TestWithParam<const char*> {
  void SetUp() override {
    auto opened = open_poller(GetParam());
    if (!opened) {
      ASSERT_EQ(opened.error().fault, Fault::unsupported);
      GTEST_SKIP() << GetParam() << " is not built in";
    }
    poller = std::move(*opened);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  }
  void TearDown() override {
    for (int fd : ends)
      if (fd >= 0) close(fd);
  }
  void close_end(int index) {
    close(ends[index]);
    ends[index] = -1;
  }
  // All events of one wait, merged by token: a facility may report the two directions apart.
  std::map<uint64_t, Seen> wait(int timeout_ms = 0) {
    PollEvent events[64];
    int count = poller->wait(events, 64, timeout_ms);
    std::map<uint64_t, Seen> seen;
    for (int i = 0; i < count; ++i) {
      Seen& one = seen[events[i].token];
      one.readable |= events[i].readable;
      one.writable |= events[i].writable;
      one.hangup |= events[i].hangup;
      ++one.count;
    }
    return seen;
  }
  void send_byte(int index) { ASSERT_EQ(write(ends[index], "x", 1), 1); }
  void fill(int index) {
    char block[4096] = {};
    while (write(ends[index], block, sizeof block) > 0) {
    }
  }
  void drain(int index) {
    char block[65536];
    while (read(ends[index], block, sizeof block) > 0) {
    }
  }
  std::unique_ptr<Poller> poller;
  int ends[2] = {-1, -1};
};

}  // namespace

TEST_P(PollerTest, NamesItself) { EXPECT_STREQ(poller->name(), GetParam()); }

TEST_P(PollerTest, AnEdgeIsToldOnce) {
  constexpr uint64_t token = 0x1234567890abcdef;
  ASSERT_TRUE(poller->add(ends[0], PollMode::edge, token));
  EXPECT_TRUE(wait()[token].writable);
  EXPECT_TRUE(wait().empty());
  send_byte(1);
  auto seen = wait();
  EXPECT_TRUE(seen[token].readable);
  EXPECT_FALSE(seen[token].hangup);
  EXPECT_TRUE(wait().empty()) << "unread, but told already";
  send_byte(1);
  EXPECT_TRUE(wait()[token].readable) << "more came";
}

TEST_P(PollerTest, AnEdgeComesBackWhenThereIsRoomToWrite) {
  ASSERT_TRUE(poller->add(ends[0], PollMode::edge, 5));
  fill(0);
  wait();
  EXPECT_FALSE(wait()[5].writable);
  drain(1);
  EXPECT_TRUE(wait()[5].writable);
}

TEST_P(PollerTest, AClosedPeerHangsUpAndIsReadable) {
  ASSERT_TRUE(poller->add(ends[0], PollMode::edge, 5));
  wait();
  send_byte(1);
  close_end(1);
  auto seen = wait();
  EXPECT_TRUE(seen[5].readable);
  EXPECT_TRUE(seen[5].hangup);
}

TEST_P(PollerTest, AHalfClosedPeerHangsUp) {
  ASSERT_TRUE(poller->add(ends[0], PollMode::edge, 5));
  wait();
  shutdown(ends[1], SHUT_WR);
  auto seen = wait();
  EXPECT_TRUE(seen[5].readable);
  EXPECT_TRUE(seen[5].hangup);
}

TEST_P(PollerTest, LevelsAreToldUntilTheyAreGone) {
  ASSERT_TRUE(poller->add(ends[0], PollMode::level_read, 6));
  EXPECT_TRUE(wait().empty()) << "writing is not asked for";
  send_byte(1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(wait()[6].readable);
  drain(0);
  EXPECT_TRUE(wait().empty());
}

TEST_P(PollerTest, WritingAloneAndBoth) {
  ASSERT_TRUE(poller->add(ends[0], PollMode::level_write, 7));
  ASSERT_TRUE(poller->add(ends[1], PollMode::level_both, 8));
  send_byte(0);
  send_byte(1);
  for (int i = 0; i < 2; ++i) {
    auto seen = wait();
    EXPECT_TRUE(seen[7].writable);
    EXPECT_FALSE(seen[7].readable);
    EXPECT_TRUE(seen[8].writable);
    EXPECT_TRUE(seen[8].readable);
  }
}

TEST_P(PollerTest, WhatIsRemovedIsSilentAndMayBeAddedAgain) {
  for (PollMode mode : {PollMode::level_read, PollMode::level_write, PollMode::level_both, PollMode::edge}) {
    ASSERT_TRUE(poller->add(ends[0], mode, 9));
    send_byte(1);
    EXPECT_FALSE(wait().empty());
    poller->remove(ends[0]);
    send_byte(1);
    EXPECT_TRUE(wait().empty());
    drain(0);
  }
}

TEST_P(PollerTest, AClosedDescriptorIsForgotten) {
  ASSERT_TRUE(poller->add(ends[0], PollMode::edge, 10));
  send_byte(1);
  close_end(0);
  EXPECT_TRUE(wait().empty());
}

TEST_P(PollerTest, AListeningSocketTellsOfConnections) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ASSERT_TRUE(poller->add(listener, PollMode::level_exclusive, 11));
  EXPECT_TRUE(wait().empty());
  int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), size), 0);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(wait(1000)[11].readable);
  close(accept(listener, nullptr, nullptr));
  EXPECT_TRUE(wait().empty());
  close(client);
  close(listener);
}

TEST_P(PollerTest, ARefusedConnectIsWritableAndHungUp) {
  int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(probe, reinterpret_cast<sockaddr*>(&address), size), 0);  // bound, not listening: refused
  ASSERT_EQ(getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size), 0);
  int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  connect(client, reinterpret_cast<sockaddr*>(&address), size);
  ASSERT_TRUE(poller->add(client, PollMode::edge, 12));
  Seen all;
  for (int i = 0; i < 10 && !all.hangup; ++i) {
    Seen seen = wait(100)[12];
    all.writable |= seen.writable;
    all.hangup |= seen.hangup;
  }
  EXPECT_TRUE(all.writable);
  EXPECT_TRUE(all.hangup);
  close(client);
  close(probe);
}

TEST_P(PollerTest, WaitsAsLongAsItIsToldAndNoLonger) {
  auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait(50).empty());
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GE(took, 49);
  EXPECT_LT(took, 20'000);
}

TEST_P(PollerTest, ASignalEndsTheWaitWithNothing) {
  struct sigaction action{}, before{};
  action.sa_handler = [](int) {};
  sigaction(SIGALRM, &action, &before);
  itimerval timer{{0, 0}, {0, 20'000}};
  setitimer(ITIMER_REAL, &timer, nullptr);
  EXPECT_TRUE(wait(10'000).empty());
  sigaction(SIGALRM, &before, nullptr);
}

TEST_P(PollerTest, ABadDescriptorIsAnError) { EXPECT_FALSE(poller->add(-1, PollMode::edge, 1)); }

TEST(Poller, AnUnknownNameIsUnsupported) {
  auto opened = open_poller("select");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().fault, Fault::unsupported);
}

INSTANTIATE_TEST_SUITE_P(All, PollerTest, testing::Values("epoll", "kqueue"), [](const auto& tested) { return std::string(tested.param); });
