// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/notice.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/format.h"
#include "core/base/text.h"

namespace fairlead {

ServiceNotice::ServiceNotice() {
  const char* socket = getenv("NOTIFY_SOCKET");
  bool usable = socket && (socket[0] == '/' || socket[0] == '@') && strlen(socket) < sizeof(sockaddr_un::sun_path);
  if (!usable) return;
  socket_ = socket;
  const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
  if (us && (!pid || parse_decimal(pid) == static_cast<uint64_t>(getpid()))) watchdog_us_ = parse_decimal(us).value_or(0);
}

void ServiceNotice::ready(pid_t master) const { send(format("READY=1\nMAINPID={}", master)); }

// The time tells this RELOADING from an earlier one (systemd's Type=notify-reload).
void ServiceNotice::reloading() const {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t us = static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  send(format("RELOADING=1\nMONOTONIC_USEC={}", us));
}

void ServiceNotice::stopping() const { send("STOPPING=1"); }

void ServiceNotice::alive() const {
  if (watchdog_us_ != 0) send("WATCHDOG=1");
}

// Without WATCHDOG_PID, which names us: whoever has the variable is meant.
std::vector<std::string> ServiceNotice::variables() const {
  if (socket_.empty()) return {};
  std::vector<std::string> all = {"NOTIFY_SOCKET=" + socket_};
  if (watchdog_us_ != 0) all.push_back(format("WATCHDOG_USEC={}", watchdog_us_));
  return all;
}

void ServiceNotice::send(const std::string& text) const {
  if (socket_.empty()) return;
  sockaddr_un addr = {};
  addr.sun_family = AF_UNIX;
  memcpy(addr.sun_path, socket_.data(), socket_.size());
  if (addr.sun_path[0] == '@') addr.sun_path[0] = '\0';
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  [[maybe_unused]] ssize_t sent =
      sendto(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&addr), size);
  close(fd);
}

}  // namespace fairlead
