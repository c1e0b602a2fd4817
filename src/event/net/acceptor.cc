// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/acceptor.h"

#include <cerrno>

namespace fairlead {

// How long to leave the backlog alone when descriptors or connection slots have run out, milliseconds.
static constexpr uint64_t back_off_ms = 100;
// Connections taken per wake-up with multi_accept; the rest waits one turn so that served connections get theirs.
static constexpr int accept_batch = 64;

namespace {
// Leaves the poller when the loop ends or is cancelled; the descriptor belongs to the generation and stays open.
struct ListenWatch {
  Watch* watch = nullptr;
  ~ListenWatch() { stop(); }
  Result<Unit> start(Loop& loop, int fd) {
    auto made = loop.watch(fd, PollMode::level_exclusive);
    if (!made) return made.error();
    watch = *made;
    return Unit();
  }
  void stop() {
    if (watch) watch->loop().unwatch(watch, true);
    watch = nullptr;
  }
};
}  // namespace

// True: the backlog may hold more. False: stop for this wake-up.
static bool accept_one(int listen_fd, Nursery& connections, ServeAccepted& server, bool& exhausted) {
  auto accepted = accept_socket(listen_fd);
  if (accepted) {
    connections.spawn(server.serve(std::move(*accepted)));
    return true;
  }
  const Error& error = accepted.error();
  if (error.sys == EAGAIN || error.sys == EINTR) return false;
  if (error.sys == ECONNABORTED) return true;  // it left before we came: the next one may be there
  exhausted = error.fault == Fault::exhausted;
  server.accept_failed(error);
  return false;
}

Task<Unit> accept_loop(Loop& loop, int listen_fd, Nursery& connections, const AcceptLimits& limits, ServeAccepted& server) {
  for (;;) {
    bool exhausted = false;
    {
      ListenWatch listening;
      auto started = listening.start(loop, listen_fd);
      if (!started) {
        server.accept_failed(started.error());
        co_return Unit();
      }
      while (!exhausted) {
        co_await IoWait(*listening.watch, Direction::read, 0);
        listening.watch->set_ready(Direction::read, false);  // level-triggered: it will be said again
        int batch = limits.multi_accept ? accept_batch : 1;
        while (batch-- > 0 && !exhausted) {
          exhausted = !server.has_room();
          if (!exhausted && !accept_one(listen_fd, connections, server, exhausted)) break;
        }
      }
    }
    // Out of the poller meanwhile, so that a full worker leaves the backlog to the others.
    co_await Sleep(loop, back_off_ms);
  }
}

}  // namespace fairlead
