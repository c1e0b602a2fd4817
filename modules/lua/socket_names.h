// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the sockets of scripts share: from a host as a script writes it to an address, errors in the words scripts know, being busy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/addr.h"
#include "event/loop/task.h"

namespace fairlead {
class Block;
class Worker;
}  // namespace fairlead

namespace fairlead::lua {

struct SocketName {
  std::string host;          // a name, an address with or without brackets, or "unix:/path"
  uint16_t port = 0;
  uint64_t deadline_ms = 0;  // absolute, 0: that of `resolver_timeout`
};

// The address of a name, by the `resolver` of `place`. The reason of a failure; empty: `address` is set.
Task<std::string> find_address(Worker& worker, const Block& place, SocketName name, Addr& address);

// Where find_room() finds none.
inline constexpr std::string_view no_room_text = "worker_connections are not enough";

// "connection refused", as scripts compare it.
std::string system_text(int error_number);

// A socket at work: what else is asked of it meanwhile is refused.
class BusyFlag {
 public:
  explicit BusyFlag(bool& flag) : flag_(flag) { flag_ = true; }
  ~BusyFlag() { flag_ = false; }
  BusyFlag(const BusyFlag&) = delete;
  BusyFlag& operator=(const BusyFlag&) = delete;

 private:
  bool& flag_;
};

}  // namespace fairlead::lua
