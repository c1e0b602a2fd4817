// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/pump.h"

#include <algorithm>
#include <cerrno>

namespace fairlead {

Task<Result<Unit>> pump(Connection& from, Connection& to, PumpRules rules) {
  Loop& loop = from.loop();
  Chain out;
  for (;;) {
    while (from.unread().empty()) {
      IoResult result = from.fill(rules.buffer_bytes, std::max<size_t>(rules.buffer_bytes / 4, 1));
      if (result.status == IoStatus::ok) break;
      if (result.status == IoStatus::end) {
        to.transport().shutdown_write();
        co_return Unit();
      }
      if (result.status == IoStatus::failed) co_return from.error_of(result, "recv() failed");
      from.release_if_empty();
      uint64_t deadline = rules.idle_timeout_ms ? *rules.last_byte_ms + rules.idle_timeout_ms : 0;
      WaitStatus status = co_await from.readable(deadline);
      bool both_idle = rules.idle_timeout_ms && loop.now_ms() >= *rules.last_byte_ms + rules.idle_timeout_ms;
      if (status == WaitStatus::timeout && both_idle) co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
    }
    *rules.last_byte_ms = loop.now_ms();
    out.push_back(from.take_slice(from.unread().size()));
    auto written = co_await to.write(out, rules.write_timeout_ms);
    if (!written) co_return written.error();
  }
}

}  // namespace fairlead
