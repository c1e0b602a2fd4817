// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a service manager hears of the server (sd_notify(3)'s datagrams): ready, reloading, stopping. Without NOTIFY_SOCKET in the
// environment of the start all of it is silent; a message that cannot be sent is dropped. Of the master alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace fairlead {

class ServiceNotice {
 public:
  // Remembers the socket that the environment names: a path, or @NAME for an abstract one.
  ServiceNotice();

  // It serves (again). `master`: the process that the manager is to watch, which a daemon or an upgrade has changed.
  void ready(pid_t master) const;
  void reloading() const;
  void stopping() const;
  // It is alive; to be said this often, half the time after which a manager with WatchdogSec gives the process up. 0: it does not watch.
  void alive() const;
  uint64_t alive_every_ms() const { return watchdog_us_ / 2000; }

  // For the environment of a new binary, which the manager is to watch then. None if nobody listens.
  std::vector<std::string> variables() const;

 private:
  void send(const std::string& text) const;
  std::string socket_;
  uint64_t watchdog_us_ = 0;
};

}  // namespace fairlead
