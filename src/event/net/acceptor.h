// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The accept loop of one listening socket: takes connections while there is room, backs off when descriptors run out. It knows no protocol:
// `serve` is what becomes of a connection.
#pragma once

#include "event/loop/nursery.h"
#include "event/net/connection.h"
#include "event/net/socket.h"

namespace fairlead {

// What accepts are counted against, shared by all listeners of a worker.
struct AcceptLimits {
  size_t connections_max = 512;  // worker_connections
  bool multi_accept = false;     // take all that wait, not one per wake-up
};

// Whether there is room for one more connection: at once, as soon as idle ones that were told so have ended, or not.
enum class Room : uint8_t { free, soon, none };

class ServeAccepted {
 public:
  // The whole life of a client connection. Owns `accepted.fd` from the call on.
  virtual Task<Unit> serve(Accepted accepted) = 0;
  // Asked before each connection that is taken; without room the acceptor leaves the backlog alone for a while.
  virtual Room make_room() = 0;
  // Told of failures worth a log line.
  virtual void accept_failed(const Error& error) = 0;

 protected:
  ~ServeAccepted() = default;
};

// Accepts from `listen_fd` (level-triggered, shared with other workers) until cancelled; each connection becomes a child of `connections`.
Task<Unit> accept_loop(Loop& loop, int listen_fd, Nursery& connections, const AcceptLimits& limits, ServeAccepted& server);

}  // namespace fairlead
