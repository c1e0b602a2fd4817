// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// System calls on sockets as Results: non-blocking, close-on-exec, never waiting. Options that a `listen` line or a proxy directive names.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/addr.h"
#include "core/base/error.h"

namespace fairlead {

// An accepted connection; the caller owns the descriptor.
struct Accepted {
  int fd = -1;
  Addr peer;
};
// Fault::exhausted: out of descriptors or memory (back off). Error::sys EAGAIN: nothing to accept.
Result<Accepted> accept_socket(int listen_fd);

struct ConnectOptions {
  Addr bind;                 // invalid: any
  bool transparent = false;  // bind may be an address of somebody else (IP_TRANSPARENT)
  bool keepalive = false;    // SO_KEEPALIVE
  // Bytes; 0: the system's.
  int send_buffer = 0, receive_buffer = 0;
  int send_low_water = 0;    // SO_SNDLOWAT, where the system lets it be set
  std::string_view greeting = {};  // bytes that go ahead of everything else (a PROXY header); lives as long as the connect
};
// A socket on its way to `to`. The connect may be under way: wait for writable, then connect_result().
Result<int> connect_socket(const Addr& to, const ConnectOptions& options);
// 0, or the error with which the connect ended.
int connect_result(int fd);

void set_nodelay(int fd);
void set_cork(int fd, bool on);
void set_keepalive(int fd);
Addr local_address(int fd);
// How many bytes the peer's TCP has acknowledged, the SYN counted as one. Nothing: the system does not say.
std::optional<uint64_t> acknowledged_bytes(int fd);

}  // namespace fairlead
