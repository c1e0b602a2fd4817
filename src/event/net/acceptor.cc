// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/acceptor.h"

#include <cerrno>

namespace fairlead {

// How long to leave the backlog alone, milliseconds: when descriptors or connection slots have run out, and when idle connections are just
// ending.
static constexpr uint64_t full_pause_ms = 100, ending_pause_ms = 1;
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

static uint64_t pause_before_next(Room room) {
  if (room == Room::free) return 0;
  return room == Room::soon ? ending_pause_ms : full_pause_ms;
}

// True: the backlog may hold more. False: stop for this wake-up, and then for `pause_ms`.
static bool accept_one(int listen_fd, Nursery& connections, ServeAccepted& server, uint64_t& pause_ms) {
  pause_ms = pause_before_next(server.make_room());
  if (pause_ms) return false;
  auto accepted = accept_socket(listen_fd);
  if (accepted) {
    connections.spawn(server.serve(std::move(*accepted)));
    return true;
  }
  const Error& error = accepted.error();
  if (error.sys == EAGAIN || error.sys == EINTR) return false;
  if (error.sys == ECONNABORTED) return true;  // it left before we came: the next one may be there
  if (error.fault == Fault::exhausted) pause_ms = full_pause_ms;
  server.accept_failed(error);
  return false;
}

Task<Unit> accept_loop(Loop& loop, int listen_fd, Nursery& connections, const AcceptLimits& limits, ServeAccepted& server) {
  for (;;) {
    uint64_t pause_ms = 0;
    {
      ListenWatch listening;
      auto started = listening.start(loop, listen_fd);
      if (!started) {
        server.accept_failed(started.error());
        co_return Unit();
      }
      while (pause_ms == 0) {
        co_await IoWait(*listening.watch, Direction::read, 0);
        listening.watch->set_ready(Direction::read, false);  // level-triggered: it will be said again
        int batch = limits.multi_accept ? accept_batch : 1;
        while (batch-- > 0 && accept_one(listen_fd, connections, server, pause_ms)) continue;
      }
    }
    // Out of the poller meanwhile, so that a full worker leaves the backlog to the others.
    co_await Sleep(loop, pause_ms);
  }
}

}  // namespace fairlead
