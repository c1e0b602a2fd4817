// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Poller over Linux epoll.
#include <cerrno>

#include "event/loop/poller.h"

#if defined(__linux__)
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>

namespace fairlead {
namespace {

constexpr int batch = 512;

uint32_t interest_of(PollMode mode) {
  switch (mode) {
    case PollMode::edge: return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    case PollMode::level_read: return EPOLLIN;
    case PollMode::level_write: return EPOLLOUT;
    case PollMode::level_both: return EPOLLIN | EPOLLOUT;
    case PollMode::level_exclusive: return EPOLLIN | EPOLLEXCLUSIVE;
  }
  return 0;
}

class Epoll final : public Poller {
 public:
  explicit Epoll(int fd) : fd_(fd) {}
  ~Epoll() override { close(fd_); }
  const char* name() const override { return "epoll"; }

  Result<Unit> add(int fd, PollMode mode, uint64_t token) override {
    epoll_event event{};
    event.events = interest_of(mode);
    event.data.u64 = token;
    if (epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) == 0) return Unit();
    return Error::from_errno(errno, "epoll_ctl() failed");
  }

  void remove(int fd) override {
    epoll_event event{};
    epoll_ctl(fd_, EPOLL_CTL_DEL, fd, &event);
  }

  int wait(PollEvent* events, int most, int timeout_ms) override {
    epoll_event raw[batch];
    int count = epoll_wait(fd_, raw, std::min(most, batch), timeout_ms);
    for (int i = 0; i < count; ++i) {
      uint32_t bits = raw[i].events;
      bool broken = bits & (EPOLLERR | EPOLLHUP);
      events[i].token = raw[i].data.u64;
      events[i].readable = broken || (bits & (EPOLLIN | EPOLLRDHUP));
      events[i].writable = broken || (bits & EPOLLOUT);
      events[i].hangup = broken || (bits & EPOLLRDHUP);
    }
    return std::max(count, 0);
  }

 private:
  int fd_;
};

}  // namespace

Result<std::unique_ptr<Poller>> open_epoll() {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return Error::from_errno(errno, "epoll_create1() failed");
  return std::unique_ptr<Poller>(new Epoll(fd));
}

}  // namespace fairlead
#else
namespace fairlead {
Result<std::unique_ptr<Poller>> open_epoll() { return Error{Fault::unsupported, Side::local, 0, "epoll is not available"}; }
}  // namespace fairlead
#endif
