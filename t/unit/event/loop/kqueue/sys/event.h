// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// As much of BSD's <sys/event.h> as src/event/loop/kqueue.cc uses, so that it is compiled and tested on Linux, too. What stands behind it
// is kqueue_over_epoll.cc.
#pragma once

#include <cstdint>
#include <ctime>
#include <span>

struct kevent {
  uintptr_t ident;
  short filter;
  unsigned short flags;
  unsigned int fflags;
  int64_t data;
  void* udata;
};

constexpr short EVFILT_READ = -1;
constexpr short EVFILT_WRITE = -2;
constexpr unsigned short EV_ADD = 0x0001;
constexpr unsigned short EV_DELETE = 0x0002;
constexpr unsigned short EV_CLEAR = 0x0020;
constexpr unsigned short EV_ERROR = 0x4000;
constexpr unsigned short EV_EOF = 0x8000;

// Macros, as EV_SET is in BSD: of the call's six parameters four are two spans.
#define EV_SET(to, ident, filter, flags, fflags, data, udata) \
  (*(to) = {static_cast<uintptr_t>(ident), filter, static_cast<unsigned short>(flags), fflags, data, udata})
#define kevent(kq, changes, change_count, events, event_count, timeout)                             \
  queue_wait(kq, {static_cast<const struct kevent*>(changes), static_cast<size_t>(change_count)},   \
             {static_cast<struct kevent*>(events), static_cast<size_t>(event_count)}, timeout)

int kqueue();
int queue_wait(int kq, std::span<const struct kevent> changes, std::span<struct kevent> events, const timespec* timeout);
