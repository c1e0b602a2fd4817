// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// pump(): bytes from one connection to another until the first one's end, which is passed on as a half-close; ended by idleness.
#pragma once

#include "event/loop/task.h"
#include "event/net/connection.h"

namespace fairlead {

// Times in milliseconds, 0: none.
struct PumpRules {
  uint64_t idle_timeout_ms = 0;      // without a byte in either direction
  uint64_t write_timeout_ms = 0;     // of each wait for who is written to
  uint64_t* last_byte_ms = nullptr;  // shared by the two directions of a tunnel
  size_t buffer_bytes = 16 * 1024;   // of one read
};

// What is unread in `from` goes first. Errors: of either side; timeout, of the upstream, when both directions were idle.
Task<Result<Unit>> pump(Connection& from, Connection& to, PumpRules rules);

}  // namespace fairlead
