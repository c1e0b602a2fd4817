// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// UdpSocket: a connected datagram socket that a script opened (ngx.socket.udp), without Lua. Shared by the userdata of Lua and the task
// that works on it; it belongs to the request or run that made it and is closed with it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/addr.h"
#include "event/loop/loop.h"
#include "event/worker.h"
#include "modules/lua/request_state.h"

namespace fairlead {
class Block;
}  // namespace fairlead

namespace fairlead::lua {

class UdpSocket final : public Owned, public std::enable_shared_from_this<UdpSocket> {
 public:
  static constexpr char type_name[] = "fairlead.udp";
  static constexpr size_t datagram_bytes = 8192, datagram_bytes_max = 65536;  // of one receive(): what it takes if nothing is said, at most

  UdpSocket(Worker& worker, const Block& place, const void* owner) : worker_(worker), place_(place), owner_(owner) {}
  ~UdpSocket() { close(); }
  void close_for_end() override {
    close();
    owner_ = nullptr;  // the next request may lie where this one did
  }

  // A name (resolved), an address, or "unix:/path". The reason of a failure, as scripts see it; empty: it went well.
  Task<std::string> set_peer(std::string host, uint16_t port);
  // Plain: a datagram that the system does not take at once is lost, and the script is told.
  std::string send(std::string_view bytes);
  // One datagram, cut to `bytes_max`.
  Task<std::string> receive(size_t bytes_max, std::string& datagram);
  bool is_open() const { return watch_ != nullptr; }
  void close();
  // nullptr: it has ended.
  const void* owner() const { return owner_; }

  uint64_t configured_timeout_ms = 60'000, read_timeout_ms = 60'000;
  Addr local;  // that the next set_peer() binds to; invalid: any
  bool is_busy = false;
  std::string failure;  // of the system, in the words of the log, until it has been logged

 private:
  std::string open(const Addr& to);
  std::string fail(const char* call);

  Worker& worker_;
  const Block& place_;
  const void* owner_;
  Watch* watch_ = nullptr;
  ConnectionSlot slot_;  // while it is open
};

}  // namespace fairlead::lua
