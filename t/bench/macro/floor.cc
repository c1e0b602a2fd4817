// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// floor LISTEN_PORT ORIGIN_PORT: what the kernel alone costs a proxy that makes four data system calls for a request. Bytes go from
// each client to a connection of its own to the origin and back, unread: no parsing, no pool, no timer, no log. No proxy over epoll can
// be below its processor time: its share of nginx's is what no ratio can fall under on a machine.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

struct Side {
  int fd = -1;
  Side* other = nullptr;
};

sockaddr_in loopback(const char* port) {
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(atoi(port)));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

void watch(int epoll, Side* side, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.ptr = side;
  epoll_ctl(epoll, EPOLL_CTL_ADD, side->fd, &event);
}

int listen_at(const char* port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in at = loopback(port);
  if (bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || listen(fd, 4096) != 0) {
    perror("floor: listen");
    exit(1);
  }
  return fd;
}

// Both sides live until the process ends: benchmarks open a bounded number.
void accept_all(int epoll, int listener, const sockaddr_in& origin) {
  constexpr uint32_t wanted = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  for (;;) {
    int client = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    if (client < 0) return;
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(peer, reinterpret_cast<const sockaddr*>(&origin), sizeof origin);
    int on = 1;
    for (int fd : {client, peer}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Side* front = new Side{client, nullptr};
    Side* back = new Side{peer, front};
    front->other = back;
    watch(epoll, front, wanted);
    watch(epoll, back, wanted);
  }
}

void relay(Side& side) {
  static std::array<char, 65536> bytes;
  if (side.fd < 0) return;
  ssize_t got = recv(side.fd, bytes.data(), bytes.size(), 0);
  if (got > 0) {
    send(side.other->fd, bytes.data(), static_cast<size_t>(got), MSG_NOSIGNAL);
  } else if (got == 0 || errno != EAGAIN) {
    for (Side* each : {&side, side.other}) {
      close(each->fd);
      each->fd = -1;
    }
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) {
    fputs("usage: floor LISTEN_PORT ORIGIN_PORT\n", stderr);
    return 2;
  }
  int epoll = epoll_create1(0);
  Side listener{listen_at(words[1]), nullptr};
  sockaddr_in origin = loopback(words[2]);
  watch(epoll, &listener, EPOLLIN);
  std::array<epoll_event, 512> events;
  for (;;) {
    int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      Side* side = static_cast<Side*>(events[static_cast<size_t>(i)].data.ptr);
      if (side == &listener)
        accept_all(epoll, listener.fd, origin);
      else if (events[static_cast<size_t>(i)].events & EPOLLIN)
        relay(*side);
    }
  }
}
