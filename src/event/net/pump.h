// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// pump(): bytes from one connection to another until the first one's end, which is passed on as a half-close; ended by idleness.
#pragma once

#include "event/loop/task.h"
#include "event/net/connection.h"

namespace fairlead {

struct PumpTimes {
  uint64_t idle_timeout_ms = 0;   // without a byte in either direction; 0: none
  uint64_t* last_byte_ms = nullptr;  // shared by the two directions of a tunnel
};

// What is unread in `from` goes first. Errors: of either side; timeout when both directions were idle.
Task<Result<Unit>> pump(Connection& from, Connection& to, PumpTimes times);

}  // namespace fairlead
