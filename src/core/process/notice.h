// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a service manager hears of the server (sd_notify(3)'s datagrams): ready, reloading, stopping. Without NOTIFY_SOCKET in the
// environment of the start all of it is silent; a message that cannot be sent is dropped. Of the master alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace fairlead {

class ServiceNotice {
 public:
  // Remembers the socket that the environment names: a path, or @NAME for an abstract one.
  ServiceNotice();

  // It serves (again). `master`: the process that the manager is to watch, which a daemon or an upgrade has changed.
  void ready(pid_t master) const;
  void reloading() const;
  void stopping() const;

  // NOTIFY_SOCKET=... for the environment of a new binary; empty if nobody listens.
  std::string variable() const { return socket_.empty() ? std::string() : "NOTIFY_SOCKET=" + socket_; }

 private:
  void send(const std::string& text) const;
  std::string socket_;
};

}  // namespace fairlead
