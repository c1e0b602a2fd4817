// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/exchange.h"

#include <cerrno>

namespace fairlead::http {

Task<Result<Unit>> respond(Exchange& exchange, Outgoing& response) {
  Connection& client = exchange.connection();
  for (;;) {
    Progress progress = exchange.pump(response);
    if (progress == Progress::done) co_return Unit();
    if (progress == Progress::failed) co_return exchange.error();
    if (progress == Progress::need_write) {
      WaitStatus status = co_await client.writable(client.loop().deadline(response.send_timeout_ms));
      if (status == WaitStatus::timeout) {
        exchange.abandon();
        co_return Error{Fault::timeout, Side::client, ETIMEDOUT, "client timed out"};
      }
    } else {
      auto waited = co_await response.body->ready();
      if (!waited) co_return waited.error();  // the answer stays cut: the caller closes the connection
    }
  }
}

}  // namespace fairlead::http
