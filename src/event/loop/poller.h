// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the loop needs of the kernel: which descriptors are ready. One implementation per kernel facility.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/error.h"

namespace fairlead {

struct PollEvent {
  uint64_t token;
  bool readable;
  bool writable;
  bool hangup;  // the peer closed its sending side, or both, or the socket has an error
};

enum class PollMode : uint8_t {
  edge,            // reading and writing, edge-triggered, dropped by close(): connections
  level_read,      // reading, level-triggered, dropped by remove(): signal pipe, event descriptors
  level_write,     // writing, level-triggered: c-ares sockets
  level_both,      // both
  level_exclusive, // reading; of several processes that wait, wake one: listening sockets
};

class Poller {
 public:
  virtual ~Poller() = default;
  virtual const char* name() const = 0;
  // `token` comes back in the events. Fails with the system's error.
  virtual Result<Unit> add(int fd, PollMode mode, uint64_t token) = 0;
  // For descriptors that stay open, or whose open file description another process shares.
  virtual void remove(int fd) = 0;
  // Waits at most `timeout_ms` (-1: without limit) and fills at most `most` events. A signal ends the wait with none.
  virtual int wait(PollEvent* events, int most, int timeout_ms) = 0;
};

// The best facility of this system ("epoll" or "kqueue"), or the named one. Fault::unsupported if it is not built in.
Result<std::unique_ptr<Poller>> open_poller(const char* name = nullptr);
Result<std::unique_ptr<Poller>> open_epoll();
Result<std::unique_ptr<Poller>> open_kqueue();

}  // namespace fairlead
