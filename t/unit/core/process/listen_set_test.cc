// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/listen_set.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <numeric>

#include "core/base/format.h"

namespace fairlead {
namespace {

ListenSpec spec_of(const Addr& addr, bool stream = true) {
  ListenSpec spec;
  spec.addr = addr;
  spec.stream = stream;
  return spec;
}

Addr bound_to(int descriptor) {
  sockaddr_storage where;
  socklen_t size = sizeof(where);
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&where), &size);
  return Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&where), size);
}

Addr free_place(bool stream = true, const Addr& host = Addr::inet(INADDR_LOOPBACK, 0)) {
  auto probe = ListenSocket::open(spec_of(host, stream), Logger());
  return bound_to((*probe)->descriptor());
}

int connected_to(const Addr& addr) {
  sockaddr_storage where;
  socklen_t size = addr.to_sockaddr(where);
  int client = socket(where.ss_family, SOCK_STREAM, 0);
  if (connect(client, reinterpret_cast<sockaddr*>(&where), size) == 0) return client;
  close(client);
  return -1;
}

int option_of(int descriptor, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  getsockopt(descriptor, level, name, &value, &size);
  return value;
}

bool open_set(ListenSet& set, ListenSet* previous = nullptr, unsigned workers = 1) {
  ListenPlan plan{.mode = ListenPlan::Mode::reload, .workers = workers, .previous = previous};
  auto opened = set.open(plan, Logger());
  if (!opened) ADD_FAILURE() << opened.error();
  return opened.ok();
}

std::string socket_path() { return format("/tmp/fairlead-listen-{}", getpid()); }

TEST(ListenSet, AdoptsTheSamePlaceAndKeepsItsQueue) {
  Addr place = free_place();
  ListenSet before, after;
  before.add(spec_of(place));
  ASSERT_TRUE(open_set(before));
  before.commit(nullptr, FilesGone::all, Logger());
  int waiting = connected_to(place);
  ListenSpec changed = spec_of(place);
  changed.backlog = 7;
  changed.receive_buffer = 65536;
  changed.keepalive = ListenSpec::Keepalive::on;
  changed.keep_idle_s = 77;
  changed.deferred = true;
  changed.fastopen = 5;
  after.add(changed);
  ASSERT_TRUE(open_set(after, &before));
  after.commit(&before, FilesGone::all, Logger());
  int descriptor = after.listeners()[0].descriptor(0);
  EXPECT_EQ(descriptor, before.listeners()[0].descriptor(0));
  EXPECT_EQ(option_of(descriptor, SOL_SOCKET, SO_RCVBUF), 131072);  // the kernel doubles it
  EXPECT_EQ(option_of(descriptor, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option_of(descriptor, IPPROTO_TCP, TCP_KEEPIDLE), 77);
  EXPECT_GT(option_of(descriptor, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
  EXPECT_EQ(option_of(descriptor, IPPROTO_TCP, TCP_FASTOPEN), 5);
  tcp_info facts = {};
  socklen_t size = sizeof(facts);
  getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &facts, &size);
  EXPECT_EQ(facts.tcpi_sacked, 7u);  // of a listening socket: its backlog
  int accepted = accept(descriptor, nullptr, nullptr);
  EXPECT_GE(accepted, 0);
  close(accepted);
  close(waiting);
}

TEST(ListenSet, AnOpeningThatFailsLeavesNothingBehind) {
  Addr place = free_place(), other = free_place();
  std::string path = socket_path();
  ListenSet before;
  before.add(spec_of(place));
  ASSERT_TRUE(open_set(before));
  before.commit(nullptr, FilesGone::all, Logger());
  {
    ListenSet after;
    after.add(spec_of(place));
    after.add(spec_of(other));
    after.add(spec_of(Addr::local(path)));
    after.add(spec_of(*Addr::parse_ip("192.0.2.1")));
    auto opened = after.open({.mode = ListenPlan::Mode::reload, .previous = &before}, Logger());
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error(), "bind() to 192.0.2.1:0 failed (99: Cannot assign requested address)");
    EXPECT_EQ(connected_to(other), -1);  // not even for a moment
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
  int client = connected_to(place);
  EXPECT_GE(client, 0);
  close(client);
}

TEST(ListenSet, ASocketFileThatIsThereIsInUse) {
  std::string path = socket_path();
  {
    auto stale = ListenSocket::open(spec_of(Addr::local(path)), Logger());
    ASSERT_TRUE(stale.ok());
  }
  ListenSet set;
  set.add(spec_of(Addr::local(path)));
  auto opened = set.open({.mode = ListenPlan::Mode::reload}, Logger());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error(), format("bind() to unix:{} failed (98: Address already in use)", path));
  EXPECT_TRUE(set.open({.mode = ListenPlan::Mode::test}, Logger()).ok());
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
  unlink(path.c_str());
}

TEST(ListenSet, RetiredSocketsGetNothingNew) {
  Addr place = free_place();
  ListenSpec spec = spec_of(place);
  spec.reuseport = true;
  ListenSet before, after;
  before.add(spec);
  ASSERT_TRUE(open_set(before, nullptr, 4));
  before.commit(nullptr, FilesGone::all, Logger());
  after.add(spec);
  ASSERT_TRUE(open_set(after, &before, 2));
  after.commit(&before, FilesGone::all, Logger());
  ASSERT_EQ(after.retired().size(), 2u);
  std::vector<int> clients;
  for (int i = 0; i < 64; ++i) clients.push_back(connected_to(place));
  int taken = 0;
  for (unsigned slot = 0; slot < 2; ++slot) {
    int on_slot = 0;
    for (int got; (got = accept(after.listeners()[0].descriptor(slot), nullptr, nullptr)) >= 0; ++on_slot) close(got);
    EXPECT_GT(on_slot, 0);
    taken += on_slot;
  }
  EXPECT_EQ(taken, 64);
  for (auto& socket : after.retired()) EXPECT_LT(accept(socket->descriptor(), nullptr, nullptr), 0);
  for (int client : clients) close(client);
}

TEST(ListenSet, GrowthTakesRetiredSocketsBack) {
  Addr place = free_place();
  ListenSpec spec = spec_of(place);
  spec.reuseport = true;
  ListenSet sets[4];
  const unsigned slots[4] = {3, 1, 2, 4};
  for (int i = 0; i < 4; ++i) {
    sets[i].add(spec);
    ASSERT_TRUE(open_set(sets[i], i ? &sets[i - 1] : nullptr, slots[i]));
    sets[i].commit(i ? &sets[i - 1] : nullptr, FilesGone::all, Logger());
    EXPECT_EQ(sets[i].retired().size(), slots[i] < 3 ? 3 - slots[i] : 0u);
    std::vector<int> clients;
    for (int c = 0; c < 64; ++c) clients.push_back(connected_to(place));
    int taken = 0;
    for (unsigned slot = 0; slot < slots[i]; ++slot)
      for (int got; (got = accept(sets[i].listeners()[0].descriptor(slot), nullptr, nullptr)) >= 0; ++taken) close(got);
    EXPECT_EQ(taken, 64);
    for (int client : clients) close(client);
  }
}

TEST(ListenSet, DatagramsOfOneClientStayTogetherWhenSlotsGo) {
  Addr place = free_place(false);
  ListenSpec spec = spec_of(place, false);
  spec.reuseport = true;
  ListenSet before, after;
  before.add(spec);
  ASSERT_TRUE(open_set(before, nullptr, 3));
  before.commit(nullptr, FilesGone::all, Logger());
  after.add(spec);
  ASSERT_TRUE(open_set(after, &before, 2));
  after.commit(&before, FilesGone::all, Logger());
  sockaddr_storage where;
  socklen_t size = place.to_sockaddr(where);
  int counts[2] = {};
  for (int i = 0; i < 32; ++i) {
    int client = socket(AF_INET, SOCK_DGRAM, 0);
    for (int j = 0; j < 3; ++j) sendto(client, "x", 1, 0, reinterpret_cast<sockaddr*>(&where), size);
    close(client);
    for (unsigned slot = 0; slot < 2; ++slot) {
      int got = 0;
      char byte;
      while (recv(after.listeners()[0].descriptor(slot), &byte, 1, 0) == 1) ++got;
      EXPECT_TRUE(got == 0 || got == 3) << got;
      counts[slot] += got;
    }
  }
  EXPECT_EQ(counts[0] + counts[1], 96);
  EXPECT_GT(counts[0], 0);
  EXPECT_GT(counts[1], 0);
}

TEST(ListenSet, BecomesReuseportOverAReload) {
  Addr place = free_place();
  ListenSet before, after;
  before.add(spec_of(place));
  ASSERT_TRUE(open_set(before));
  before.commit(nullptr, FilesGone::all, Logger());
  ListenSpec spec = spec_of(place);
  spec.reuseport = true;
  after.add(spec);
  ASSERT_TRUE(open_set(after, &before, 3));
  after.commit(&before, FilesGone::all, Logger());
  EXPECT_EQ(after.listeners()[0].sockets.size(), 3u);
  after.keep_slot(1);
  EXPECT_EQ(after.listeners()[0].sockets[0]->descriptor(), -1);
  int client = connected_to(place);
  EXPECT_GE(client, 0);
  close(client);
}

// How many of 64 clients each slot of the first listener gets.
std::vector<int> spread(const ListenSet& set, const Addr& place) {
  std::vector<int> clients, counts;
  for (int i = 0; i < 64; ++i) clients.push_back(connected_to(place));
  for (auto& socket : set.listeners()[0].sockets) {
    int count = 0;
    for (int got; (got = accept(socket->descriptor(), nullptr, nullptr)) >= 0; ++count) close(got);
    counts.push_back(count);
  }
  for (int client : clients) close(client);
  return counts;
}

TEST(ListenSet, EachSlotIsServedAfterATimeWithoutReuseport) {
  Addr place = free_place();
  ListenSet sets[4];
  const unsigned slots[4] = {3, 1, 3, 3};
  for (int i = 0; i < 4; ++i) {
    ListenSpec spec = spec_of(place);
    spec.reuseport = slots[i] > 1;
    sets[i].add(spec);
    ASSERT_TRUE(open_set(sets[i], i ? &sets[i - 1] : nullptr, slots[i]));
    sets[i].commit(i ? &sets[i - 1] : nullptr, FilesGone::all, Logger());
    std::vector<int> counts = spread(sets[i], place);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), 64) << i;
    for (int count : counts) EXPECT_GT(count, 0) << i;
  }
}

// A reload from `before` that adds slots and is refused, then one with `after` slots that is not.
void expect_refused_growth_takes_nothing(const Addr& place, unsigned before, unsigned after, bool reuseport_before = true) {
  ListenSpec spec = spec_of(place);
  spec.reuseport = reuseport_before;
  ListenSet old, refused, next;
  old.add(spec);
  ASSERT_TRUE(open_set(old, nullptr, before));
  old.commit(nullptr, FilesGone::all, Logger());
  spec.reuseport = true;
  refused.add(spec);
  ASSERT_TRUE(open_set(refused, &old, before + 3));
  std::vector<int> counts = spread(refused, place);
  EXPECT_EQ(std::accumulate(counts.begin(), counts.begin() + before, 0), 64);
  for (unsigned slot = 0; slot < before; ++slot) EXPECT_GT(counts[slot], 0) << slot;
  refused.close_unshared(old, FilesGone::all, Logger());
  counts = spread(old, place);
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), 64);
  next.add(spec);
  ASSERT_TRUE(open_set(next, &old, after));
  next.commit(&old, FilesGone::all, Logger());
  counts = spread(next, place);
  EXPECT_EQ(counts.size(), after);
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), 64);
  for (int count : counts) EXPECT_GT(count, 0);
}

TEST(ListenSet, SocketsOfFurtherSlotsGetNothingBeforeTheCommit) {
  Addr six = *Addr::parse_ip("::1");
  for (unsigned before : {1, 2}) {
    for (unsigned after : {1, 2, 4}) {
      SCOPED_TRACE(format("from {} to {}", before, after));
      expect_refused_growth_takes_nothing(free_place(), before, after);
      expect_refused_growth_takes_nothing(free_place(true, six), before, after);
    }
  }
  expect_refused_growth_takes_nothing(free_place(), 1, 4, false);
}

TEST(ListenSet, AGroupThatWasSteeredIsNotWidenedBeforeTheCommit) {
  Addr place = free_place();
  ListenSpec spec = spec_of(place);
  spec.reuseport = true;
  ListenSet sets[4];
  const unsigned slots[4] = {2, 4, 3, 6};  // the last takes the retired one back and opens two
  for (int i = 0; i < 4; ++i) {
    sets[i].add(spec);
    ASSERT_TRUE(open_set(sets[i], i ? &sets[i - 1] : nullptr, slots[i]));
    if (i && slots[i] > slots[i - 1]) {
      std::vector<int> early = spread(sets[i], place);
      EXPECT_EQ(std::accumulate(early.begin(), early.begin() + slots[i - 1], 0), 64) << i;
    }
    sets[i].commit(i ? &sets[i - 1] : nullptr, FilesGone::all, Logger());
    std::vector<int> counts = spread(sets[i], place);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), 64) << i;
    for (int count : counts) EXPECT_GT(count, 0) << i;
  }
}

TEST(ListenSet, DatagramsGoToTheSlotsThatAreThereUntilTheCommit) {
  Addr place = free_place(false);
  ListenSpec spec = spec_of(place, false);
  spec.reuseport = true;
  ListenSet before, after;
  before.add(spec);
  ASSERT_TRUE(open_set(before));
  before.commit(nullptr, FilesGone::all, Logger());
  after.add(spec);
  ASSERT_TRUE(open_set(after, &before, 4));
  sockaddr_storage where;
  socklen_t size = place.to_sockaddr(where);
  auto got_of_32 = [&](const ListenSet& set) {
    int got = 0;
    char byte;
    for (int i = 0; i < 32; ++i) {
      int one = socket(AF_INET, SOCK_DGRAM, 0);
      sendto(one, "x", 1, 0, reinterpret_cast<sockaddr*>(&where), size);
      close(one);
    }
    while (recv(set.listeners()[0].descriptor(0), &byte, 1, 0) == 1) ++got;
    return got;
  };
  EXPECT_EQ(got_of_32(after), 32);
  after.commit(&before, FilesGone::all, Logger());
  EXPECT_LT(got_of_32(after), 32);
}

TEST(ListenSet, EachSlotIsServedWhateverAnotherBinaryLeft) {
  Addr place = free_place();
  ListenSpec spec = spec_of(place);
  spec.reuseport = true;
  ListenSet first, old, next, last;
  first.add(spec);
  ASSERT_TRUE(open_set(first, nullptr, 4));
  first.commit(nullptr, FilesGone::all, Logger());
  old.add(spec);
  ASSERT_TRUE(open_set(old, &first, 2));
  old.commit(&first, FilesGone::all, Logger());
  InheritedSockets inherited;
  for (auto sockets : {std::span<const std::shared_ptr<ListenSocket>>(old.listeners()[0].sockets), old.retired()})
    for (auto& socket : sockets) inherited.add(dup(socket->descriptor()), ListenSocket::Origin::inherited, Logger());
  next.add(spec);
  ASSERT_TRUE(next.open({.workers = 4, .inherited = &inherited}, Logger()).ok());
  next.commit(nullptr, FilesGone::all, Logger());
  for (int count : spread(next, place)) EXPECT_GT(count, 0);
  last.add(spec);
  ASSERT_TRUE(open_set(last, &next, 4));
  last.commit(&next, FilesGone::all, Logger());
  for (int count : spread(last, place)) EXPECT_GT(count, 0);
  // And the way back.
  old.steer_again(Logger());
  std::vector<int> counts = spread(old, place);
  EXPECT_EQ(counts[0] + counts[1], 64);
}

TEST(ListenSet, BecomesTransparentOverAReloadAndBack) {
  Addr place = free_place(), six = *Addr::parse_ip("::1");
  if (!ListenSocket::open({.addr = place, .transparent = true}, Logger())) GTEST_SKIP() << "no capability for it";
  ListenSet sets[3];
  for (int i = 0; i < 3; ++i) {
    sets[i].add({.addr = place, .transparent = i == 1});
    sets[i].add({.addr = six, .transparent = i == 1});
    ASSERT_TRUE(open_set(sets[i], i ? &sets[i - 1] : nullptr));
    sets[i].commit(i ? &sets[i - 1] : nullptr, FilesGone::all, Logger());
    EXPECT_EQ(option_of(sets[i].listeners()[0].descriptor(0), SOL_IP, IP_TRANSPARENT), i == 1);
    EXPECT_EQ(option_of(sets[i].listeners()[1].descriptor(0), SOL_IPV6, IPV6_TRANSPARENT), i == 1);
  }
}

TEST(InheritedSockets, AreFoundByAddressWithBothSeparators) {
  Addr four = free_place();
  auto first = ListenSocket::open(spec_of(four), Logger());
  auto second = ListenSocket::open(spec_of(*Addr::parse_ip("::1")), Logger());
  ASSERT_TRUE(first.ok() && second.ok());
  Addr six = bound_to((*second)->descriptor());
  int descriptors[] = {dup((*first)->descriptor()), dup((*second)->descriptor())};
  (*first)->close();
  (*second)->close();
  InheritedSockets inherited;
  inherited.add_list(format("{}:{};", descriptors[0], descriptors[1]), "", Logger());
  EXPECT_TRUE(inherited.from_old_binary());
  ListenSet set;
  set.add(spec_of(six));
  ASSERT_TRUE(set.open({.inherited = &inherited}, Logger()).ok());
  set.commit(nullptr, FilesGone::all, Logger());
  inherited.close_unused();
  EXPECT_EQ(set.listeners()[0].descriptor(0), descriptors[1]);
  EXPECT_LT(fcntl(descriptors[0], F_GETFD), 0);  // nobody named it
  EXPECT_EQ(set.descriptor_list(), format("{};", descriptors[1]));
  EXPECT_EQ(fcntl(descriptors[1], F_GETFD), FD_CLOEXEC);
  set.keep_over_exec();
  EXPECT_EQ(fcntl(descriptors[1], F_GETFD), 0);
}

TEST(InheritedSockets, NonsenseEndsTheList) {
  InheritedSockets inherited;
  inherited.add_list("x;", "", Logger());
  inherited.add_list("999999;", "", Logger());  // not open
  inherited.add_list("3", "", Logger());        // no separator behind it
  EXPECT_EQ(inherited.take(spec_of(Addr::inet(INADDR_LOOPBACK, 80))), nullptr);
}

TEST(InheritedSockets, FromTheServiceManager) {
  // Descriptor 3, as systemd hands it over; whatever is there now is put back.
  int saved = dup(3);
  std::string path = socket_path();
  auto opened = ListenSocket::open(spec_of(Addr::local(path)), Logger());
  ASSERT_TRUE(opened.ok());
  if ((*opened)->descriptor() != 3) {
    dup2((*opened)->descriptor(), 3);
    (*opened)->close();
  }
  setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  setenv("LISTEN_FDS", "1", 1);
  InheritedSockets inherited = InheritedSockets::from_environment(Logger());
  EXPECT_EQ(getenv("LISTEN_FDS"), nullptr);
  EXPECT_FALSE(inherited.from_old_binary());
  auto socket = inherited.take(spec_of(Addr::local(path)));
  ASSERT_TRUE(socket);
  EXPECT_EQ(socket->descriptor(), 3);
  socket->unlink_file(Logger());
  EXPECT_EQ(access(path.c_str(), F_OK), 0);  // the file is the service manager's
  unlink(path.c_str());
  if (saved < 0) return;
  dup2(saved, 3);
  close(saved);
}

// A socket file bound by "the service manager", as a set would get it from the environment.
static std::shared_ptr<ListenSocket> activated_at(const std::string& path) {
  auto opened = ListenSocket::open(spec_of(Addr::local(path)), Logger());
  EXPECT_TRUE(opened.ok());
  int descriptor = dup((*opened)->descriptor());
  (*opened)->close();
  return ListenSocket::adopt(descriptor, Addr::local(path), ListenSocket::Origin::activated, true);
}

TEST(InheritedSockets, ThoseOfTheServiceManagerAreKnownInTheNextBinary) {
  std::string path = socket_path();
  auto theirs = activated_at(path);
  Addr place = free_place();
  auto ours = ListenSocket::open(spec_of(place), Logger());
  ASSERT_TRUE(ours.ok());
  int descriptors[] = {dup(theirs->descriptor()), dup((*ours)->descriptor())};
  InheritedSockets inherited;
  inherited.add_list(format("{};{};", descriptors[0], descriptors[1]), format("{};", descriptors[0]), Logger());
  ListenSet set;
  set.add(spec_of(Addr::local(path)));
  set.add(spec_of(place));
  ASSERT_TRUE(set.open({.inherited = &inherited}, Logger()).ok());
  set.commit(nullptr, FilesGone::all, Logger());
  EXPECT_EQ(set.activated_list(), format("{};", descriptors[0]));
  set.close_all(FilesGone::all, Logger());
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
  unlink(path.c_str());
}

TEST(ListenSet, SocketsOfTheServiceManagerOutlastTheirListen) {
  std::string path = socket_path();
  auto theirs = activated_at(path);
  int descriptor = dup(theirs->descriptor());
  theirs->close();
  InheritedSockets inherited;
  inherited.add(descriptor, ListenSocket::Origin::activated, Logger());
  ListenSet first, second, third;  // the first and the second do not name it
  ASSERT_TRUE(first.open({.inherited = &inherited}, Logger()).ok());
  first.commit(nullptr, FilesGone::all, Logger());
  inherited.close_unused();
  ASSERT_TRUE(open_set(second, &first, 1));
  second.commit(&first, FilesGone::all, Logger());
  EXPECT_EQ(second.activated_list(), format("{};", descriptor));
  EXPECT_EQ(second.descriptor_list(), format("{};", descriptor));
  third.add(spec_of(Addr::local(path)));
  ASSERT_TRUE(open_set(third, &second, 1));
  third.commit(&second, FilesGone::all, Logger());
  EXPECT_EQ(third.listeners()[0].descriptor(0), descriptor);
  EXPECT_TRUE(third.retired().empty());
  ListenSet fourth;
  ASSERT_TRUE(open_set(fourth, &third, 1));
  fourth.commit(&third, FilesGone::all, Logger());
  ASSERT_EQ(fourth.retired().size(), 1u);
  EXPECT_EQ(fourth.retired()[0]->descriptor(), descriptor);
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
  unlink(path.c_str());
}

TEST(ListenSpec, WhatThisSystemLacksIsRefused) {
  ListenSpec spec = spec_of(Addr::inet(0, 80));
  EXPECT_TRUE(check_listen_spec(spec).ok());
#if defined(__linux__)
  spec.fib = 1;
  EXPECT_EQ(check_listen_spec(spec).error(), "invalid parameter \"setfib=1\"");
  spec.fib = -1;
  spec.accept_filter = "httpready";
  EXPECT_EQ(check_listen_spec(spec).error(), "accept filters \"httpready\" are not supported on this platform");
#endif
}

}  // namespace
}  // namespace fairlead
