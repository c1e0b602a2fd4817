// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Poller over BSD kqueue. On Linux the tests build it over a kqueue made of epoll (FAIRLEAD_TEST_KQUEUE, t/unit/event/loop/kqueue).
#include <cerrno>
#include <cstring>

#include "event/loop/poller.h"

namespace fairlead {
Result<std::unique_ptr<Poller>> open_poller(const char* name) {
  if (name && std::strcmp(name, "kqueue") == 0) return open_kqueue();
  if (name && std::strcmp(name, "epoll") == 0) return open_epoll();
  if (name) return Error{Fault::unsupported, Side::local, 0, "no such event facility"};
#if defined(__linux__)
  return open_epoll();
#else
  return open_kqueue();
#endif
}
}  // namespace fairlead

#if defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__) || defined(__APPLE__) || defined(FAIRLEAD_TEST_KQUEUE)
#include <sys/types.h>

#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>

namespace fairlead {
namespace {

constexpr int batch = 512;

class Kqueue final : public Poller {
 public:
  explicit Kqueue(int fd) : fd_(fd) {}
  ~Kqueue() override { close(fd_); }
  const char* name() const override { return "kqueue"; }

  Result<Unit> add(int fd, PollMode mode, uint64_t token) override {
    struct kevent changes[2];
    int count = 0;
    unsigned short flags = EV_ADD;
    if (mode == PollMode::edge) flags |= EV_CLEAR;
    void* udata = reinterpret_cast<void*>(token);
    if (mode != PollMode::level_write) EV_SET(&changes[count++], fd, EVFILT_READ, flags, 0, 0, udata);
    if (mode == PollMode::edge || mode == PollMode::level_write || mode == PollMode::level_both)
      EV_SET(&changes[count++], fd, EVFILT_WRITE, flags, 0, 0, udata);
    if (kevent(fd_, changes, count, nullptr, 0, nullptr) >= 0) return Unit();
    return Error::from_errno(errno, "kevent() failed");
  }

  void remove(int fd) override {
    struct kevent change;
    EV_SET(&change, fd, EVFILT_READ, EV_DELETE, 0, 0, nullptr);
    kevent(fd_, &change, 1, nullptr, 0, nullptr);
    EV_SET(&change, fd, EVFILT_WRITE, EV_DELETE, 0, 0, nullptr);
    kevent(fd_, &change, 1, nullptr, 0, nullptr);
  }

  int wait(PollEvent* events, int most, int timeout_ms) override {
    struct kevent raw[batch];
    timespec limit{timeout_ms / 1000, (timeout_ms % 1000) * 1'000'000L};
    int count = kevent(fd_, nullptr, 0, raw, std::min(most, batch), timeout_ms < 0 ? nullptr : &limit);
    for (int i = 0; i < count; ++i) {
      bool ended = raw[i].flags & (EV_EOF | EV_ERROR);
      events[i].token = reinterpret_cast<uint64_t>(raw[i].udata);
      events[i].readable = raw[i].filter == EVFILT_READ;
      events[i].writable = raw[i].filter == EVFILT_WRITE;
      events[i].hangup = ended && raw[i].filter == EVFILT_READ;
    }
    return std::max(count, 0);
  }

 private:
  int fd_;
};

}  // namespace

Result<std::unique_ptr<Poller>> open_kqueue() {
  int fd = kqueue();
  if (fd < 0) return Error::from_errno(errno, "kqueue() failed");
  return std::unique_ptr<Poller>(new Kqueue(fd));
}

}  // namespace fairlead
#else
namespace fairlead {
Result<std::unique_ptr<Poller>> open_kqueue() { return Error{Fault::unsupported, Side::local, 0, "kqueue is not available"}; }
}  // namespace fairlead
#endif
