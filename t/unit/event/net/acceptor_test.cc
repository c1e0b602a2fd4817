// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The accept loop: takes what waits, one or all per wake-up; leaves the backlog alone when there is no room or no
// descriptor, and comes back.
#include "event/net/acceptor.h"
#include "t/unit/event/loop/open_loop.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

using namespace fairlead;

namespace {

struct AcceptorTest : testing::Test, ServeAccepted {
  AcceptorTest() {
    loop = open_loop();
    connections = std::make_unique<Nursery>(*loop);
    acceptors = std::make_unique<Nursery>(*loop);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    FL_ASSERT(bind(listener, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0 && listen(listener, 64) == 0);
    address = local_address(listener);
  }
  ~AcceptorTest() override {
    acceptors.reset();
    connections.reset();
    for (int fd : accepted) close(fd);
    for (int fd : clients) close(fd);
    close(listener);
  }
  Task<Unit> serve(Accepted one) override {
    accepted.push_back(one.fd);
    EXPECT_TRUE(one.peer.is_ip());
    co_return Unit();
  }
  Room make_room() override { return accepted.size() < room ? Room::free : Room::none; }
  void accept_failed(const Error& error) override { failures.push_back(error.sys); }
  void start() { acceptors->spawn(accept_loop(*loop, listener, *connections, limits, *this)); }
  void connect_clients(int count) {
    sockaddr_storage storage;
    socklen_t size = address.to_sockaddr(storage);
    for (int i = 0; i < count; ++i) {
      int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&storage), size), 0);
      clients.push_back(fd);
    }
  }
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Nursery> connections, acceptors;
  AcceptLimits limits;
  int listener;
  Addr address;
  size_t room = 1000;
  std::vector<int> accepted, clients, failures;
};

}  // namespace

TEST_F(AcceptorTest, TakesOnePerWakeUp) {
  start();
  connect_clients(3);
  loop->turn(1000);
  EXPECT_EQ(accepted.size(), 1u);
  loop->turn(1000);
  loop->turn(1000);
  EXPECT_EQ(accepted.size(), 3u);
}

TEST_F(AcceptorTest, TakesAllThatWaitWithMultiAccept) {
  limits.multi_accept = true;
  start();
  connect_clients(10);
  loop->turn(1000);
  EXPECT_EQ(accepted.size(), 10u);
}

TEST_F(AcceptorTest, WithoutRoomTheBacklogWaits) {
  room = 2;
  start();
  connect_clients(4);
  for (int i = 0; i < 5; ++i) loop->turn(10);
  EXPECT_EQ(accepted.size(), 2u);
  room = 1000;
  for (int i = 0; i < 50 && accepted.size() < 4; ++i) loop->turn(50);
  EXPECT_EQ(accepted.size(), 4u);
  EXPECT_TRUE(failures.empty());
}

TEST_F(AcceptorTest, WithoutDescriptorsItSaysSoOnceAndBacksOff) {
  start();
  connect_clients(1);
  rlimit before, none;
  getrlimit(RLIMIT_NOFILE, &before);
  none = before;
  none.rlim_cur = 3;
  setrlimit(RLIMIT_NOFILE, &none);
  for (int i = 0; i < 5; ++i) loop->turn(10);  // 50 ms, less than the pause
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0], EMFILE);
  for (int i = 0; i < 50 && accepted.empty(); ++i) loop->turn(50);
  EXPECT_EQ(accepted.size(), 1u);
}

TEST_F(AcceptorTest, CancelledItLeavesThePollerButNotTheSocket) {
  start();
  EXPECT_EQ(loop->watch_count(), 1u);
  acceptors->cancel();
  EXPECT_EQ(loop->watch_count(), 0u);
  connect_clients(1);
  loop->turn(10);
  EXPECT_TRUE(accepted.empty());
  start();
  loop->turn(1000);
  EXPECT_EQ(accepted.size(), 1u);
}
