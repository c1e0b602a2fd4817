// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// floor LISTEN_PORT ORIGIN_PORT: what the kernel alone costs a proxy that makes four data system calls for a request. Bytes go from
// each client to a connection of its own to the origin and back, unread: no parsing, no pool, no timer, no log.
// floor LISTEN_PORT: the same of a server that answers by itself, in two data system calls: what is read is taken for one request.
// No server over epoll can be below its processor time: its share of nginx's is what no ratio can fall under on a machine.
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
#include <string_view>

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

Side* start(int epoll, int fd, Side* other) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Side* side = new Side{fd, other};
  watch(epoll, side, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  return side;
}

// Both sides live until the process ends: benchmarks open a bounded number. Without an origin there is one side.
void accept_all(int epoll, int listener, const sockaddr_in* origin) {
  for (;;) {
    int client = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    if (client < 0) return;
    Side* front = start(epoll, client, nullptr);
    if (!origin) continue;
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(peer, reinterpret_cast<const sockaddr*>(origin), sizeof *origin);
    front->other = start(epoll, peer, front);
  }
}

constexpr std::string_view reply =
    "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\n"
    "Content-Length: 35\r\nConnection: keep-alive\r\n\r\na text of some length for the body\n";

void end(Side* side) {
  if (!side || side->fd < 0) return;
  close(side->fd);
  side->fd = -1;
}

void pass_on(Side& side) {
  static std::array<char, 65536> bytes;
  if (side.fd < 0) return;
  ssize_t got = recv(side.fd, bytes.data(), bytes.size(), 0);
  if (got > 0) {
    if (side.other)
      send(side.other->fd, bytes.data(), static_cast<size_t>(got), MSG_NOSIGNAL);
    else
      send(side.fd, reply.data(), reply.size(), MSG_NOSIGNAL);
  } else if (got == 0 || errno != EAGAIN) {
    end(side.other);
    end(&side);
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 2 && count != 3) {
    fputs("usage: floor LISTEN_PORT [ORIGIN_PORT]\n", stderr);
    return 2;
  }
  int epoll = epoll_create1(0);
  Side listener{listen_at(words[1]), nullptr};
  sockaddr_in origin = loopback(count == 3 ? words[2] : "0");
  watch(epoll, &listener, EPOLLIN);
  std::array<epoll_event, 512> events;
  for (;;) {
    int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      Side* side = static_cast<Side*>(events[static_cast<size_t>(i)].data.ptr);
      if (side == &listener)
        accept_all(epoll, listener.fd, count == 3 ? &origin : nullptr);
      else if (events[static_cast<size_t>(i)].events & EPOLLIN)
        pass_on(*side);
    }
  }
}
