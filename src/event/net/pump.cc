// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/pump.h"

#include <algorithm>
#include <cerrno>

namespace fairlead {

static constexpr size_t pump_bytes = 16 * 1024;

Task<Result<Unit>> pump(Connection& from, Connection& to, PumpTimes times) {
  Loop& loop = from.loop();
  Chain out;
  for (;;) {
    while (from.unread().empty()) {
      IoResult result = from.fill(pump_bytes, pump_bytes / 4);
      if (result.status == IoStatus::ok) break;
      if (result.status == IoStatus::end) {
        to.transport().shutdown_write();
        co_return Unit();
      }
      if (result.status == IoStatus::failed) co_return from.error_of(result, "recv() failed");
      from.release_if_empty();
      uint64_t deadline = times.idle_timeout_ms ? *times.last_byte_ms + times.idle_timeout_ms : 0;
      WaitStatus status = co_await from.readable(deadline);
      bool both_idle = times.idle_timeout_ms && loop.now_ms() >= *times.last_byte_ms + times.idle_timeout_ms;
      if (status == WaitStatus::timeout && both_idle) co_return Error{Fault::timeout, from.side(), ETIMEDOUT, "timed out"};
    }
    *times.last_byte_ms = loop.now_ms();
    out.push_back(from.take_slice(from.unread().size()));
    auto written = co_await to.write(out, times.idle_timeout_ms);
    if (!written) co_return written.error();
  }
}

}  // namespace fairlead
