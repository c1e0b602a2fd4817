// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// As much of BSD's <sys/event.h> as src/event/loop/kqueue.cc uses, so that it is compiled and tested on Linux, too. What stands behind it is
// kqueue_over_epoll.cc.
#pragma once

#include <cstdint>
#include <ctime>

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

inline void EV_SET(struct kevent* to, int ident, short filter, int flags, unsigned fflags, int64_t data, void* udata) {
  *to = {static_cast<uintptr_t>(ident), filter, static_cast<unsigned short>(flags), fflags, data, udata};
}

// The call has the name of its record, as in BSD.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
int kqueue();
int kevent(int kq, const struct kevent* changes, int change_count, struct kevent* events, int event_count, const timespec* timeout);
#pragma GCC diagnostic pop
