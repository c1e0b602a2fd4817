// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/format.h"

namespace fairlead {
namespace {

bool send_byte(int channel, uint8_t byte) { return send(channel, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1; }

std::optional<uint8_t> receive_byte(int channel, bool& closed) {
  uint8_t byte = 0;
  ssize_t got = recv(channel, &byte, 1, MSG_DONTWAIT);
  closed = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  if (got == 1) return byte;
  return std::nullopt;
}

}  // namespace

ConfResult<ChannelEnds> open_channel() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
    int err = errno;
    char buffer[128];
    return format("socketpair() failed ({}: {})", err, strerror_r(err, buffer, sizeof(buffer)));
  }
  return ChannelEnds{ends[0], ends[1]};
}

std::optional<WorkerCommand> receive_command(int channel, bool& closed) {
  auto byte = receive_byte(channel, closed);
  if (!byte) return std::nullopt;
  return static_cast<WorkerCommand>(*byte);
}

void report(int channel, WorkerReport report) {
  if (channel >= 0) send_byte(channel, static_cast<uint8_t>(report));
}

bool send_command(int channel, WorkerCommand command) { return send_byte(channel, static_cast<uint8_t>(command)); }

std::optional<WorkerReport> receive_report(int channel, bool& closed) {
  auto byte = receive_byte(channel, closed);
  if (!byte) return std::nullopt;
  return static_cast<WorkerReport>(*byte);
}

}  // namespace fairlead
