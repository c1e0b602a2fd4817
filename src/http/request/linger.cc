// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/linger.h"

#include <algorithm>

namespace fairlead::http {

Task<Unit> linger(Connection& client, uint64_t time_ms, uint64_t timeout_ms) {
  client.transport().shutdown_write();
  uint64_t ends_ms = client.loop().now_ms() + time_ms;
  for (;;) {
    client.consume(client.unread().size());
    IoResult result = client.fill(4096);
    if (result.status == IoStatus::end || result.status == IoStatus::failed) co_return Unit();
    uint64_t now_ms = client.loop().now_ms();
    if (now_ms >= ends_ms) co_return Unit();
    uint64_t deadline = std::min(ends_ms, now_ms + timeout_ms);
    WaitStatus status = co_await client.readable(deadline);
    if (status == WaitStatus::timeout) co_return Unit();
  }
}

}  // namespace fairlead::http
