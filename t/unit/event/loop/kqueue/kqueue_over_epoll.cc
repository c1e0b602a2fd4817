// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// kqueue() and kevent() for the tests of the kqueue poller on Linux. A filter is a registration of its own in kqueue and a descriptor has
// one in epoll, so there is an epoll for reading and one for writing, both watched by a third, whose descriptor is the queue's.
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "sys/event.h"

namespace {

struct Side {
  int epoll = -1;
  std::map<int, void*> registered;  // udata by descriptor
};
struct Queue {
  Side read, write;
};

std::map<int, Queue>& queues() {
  static std::map<int, Queue> all;
  return all;
}

int open_side(Side& side, int outer) {
  side.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (side.epoll < 0) return -1;
  epoll_event event{};
  event.events = EPOLLIN;
  return epoll_ctl(outer, EPOLL_CTL_ADD, side.epoll, &event);
}

int apply(Queue& queue, const struct kevent& change) {
  bool reading = change.filter == EVFILT_READ;
  Side& side = reading ? queue.read : queue.write;
  int fd = static_cast<int>(change.ident);
  if (change.flags & EV_DELETE) {
    side.registered.erase(fd);
    return epoll_ctl(side.epoll, EPOLL_CTL_DEL, fd, nullptr);
  }
  epoll_event event{};
  event.events = reading ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
  if (change.flags & EV_CLEAR) event.events |= EPOLLET;
  event.data.fd = fd;
  int done = epoll_ctl(side.epoll, EPOLL_CTL_ADD, fd, &event);
  if (done < 0 && errno == EEXIST) done = epoll_ctl(side.epoll, EPOLL_CTL_MOD, fd, &event);  // EV_ADD again changes it
  if (done == 0) side.registered[fd] = change.udata;
  return done;
}

int collect(Side& side, short filter, struct kevent* events, int most) {
  constexpr int batch = 64;
  epoll_event raw[batch];
  int count = epoll_wait(side.epoll, raw, most < batch ? most : batch, 0);
  for (int i = 0; i < count; ++i) {
    bool ended = raw[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    int fd = raw[i].data.fd;
    events[i] = {static_cast<uintptr_t>(fd), filter, static_cast<unsigned short>(ended ? EV_EOF : 0), 0, 0, side.registered[fd]};
  }
  return count < 0 ? 0 : count;
}

}  // namespace

int kqueue() {
  int outer = epoll_create1(EPOLL_CLOEXEC);
  if (outer < 0) return -1;
  Queue& queue = queues()[outer];
  for (Side* side : {&queue.read, &queue.write}) {
    if (side->epoll >= 0) close(side->epoll);  // of a queue that was closed since
    side->registered.clear();
    if (open_side(*side, outer) < 0) return -1;
  }
  return outer;
}

int queue_wait(int kq, std::span<const struct kevent> changes, std::span<struct kevent> events, const timespec* timeout) {
  Queue& queue = queues()[kq];
  for (const struct kevent& change : changes)
    if (apply(queue, change) < 0) return -1;
  if (events.empty()) return 0;
  epoll_event raw[2];
  int limit_ms = timeout ? static_cast<int>(timeout->tv_sec * 1000 + timeout->tv_nsec / 1'000'000) : -1;
  int ready = epoll_wait(kq, raw, 2, limit_ms);
  if (ready <= 0) return ready;
  int most = static_cast<int>(events.size());
  int count = collect(queue.read, EVFILT_READ, events.data(), most);
  if (count < most) count += collect(queue.write, EVFILT_WRITE, events.data() + count, most - count);
  return count;
}
