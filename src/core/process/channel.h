// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One byte at a time between the master and a worker, over a socket pair: what the worker shall do, and how far it is. A worker obeys
// signals just the same; the channel tells it silently and hears it answer. Descriptors are non-blocking; who holds an end closes it.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/error.h"

namespace fairlead {

enum class WorkerCommand : uint8_t {
  quit = 'q',   // drain; another process serves meanwhile
  leave = 'l',  // drain; nobody follows
  terminate = 't',
  reopen = 'o',
};
enum class WorkerReport : uint8_t {
  ready = 'r',    // accepts connections
  drained = 'd',  // no longer accepts any
};

struct ChannelEnds {
  int master = -1;
  int worker = -1;
};
// The reason on failure.
ConfResult<ChannelEnds> open_channel();

// The worker's side. Nothing for now; `closed` if the master is gone.
std::optional<WorkerCommand> receive_command(int channel, bool& closed);
void report(int channel, WorkerReport report);

// The master's side. False if the worker cannot be told this way.
bool send_command(int channel, WorkerCommand command);
std::optional<WorkerReport> receive_report(int channel, bool& closed);

}  // namespace fairlead
