// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/connector.h"

#include <unistd.h>

#include <cerrno>

namespace fairlead {

Task<Result<std::unique_ptr<PooledConnection>>> connect(Loop& loop, const Addr& to, const ConnectOptions& options, PoolKey key,
                                                        uint64_t deadline_ms) {
  auto fd = connect_socket(to, options);
  if (!fd) co_return fd.error();
  auto watch = loop.watch(*fd, PollMode::edge);
  if (!watch) {
    close(*fd);
    co_return watch.error();
  }
  auto made = std::make_unique<PooledConnection>(*watch, key);
  WaitStatus status = co_await made->connection.writable(deadline_ms);
  if (status == WaitStatus::timeout) co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
  if (made->connection.watch().has_hung_up()) {
    int err = connect_result(made->connection.watch().fd());
    if (err) co_return Error::from_errno(err, "connect() failed", Side::upstream);
  }
  if (!options.greeting.empty()) {
    Chain greeting;
    greeting.push_back(Slice(options.greeting));
    auto written = co_await made->connection.write(greeting, deadline_ms > loop.now_ms() ? deadline_ms - loop.now_ms() : 0);
    if (!written) co_return written.error();
  }
  co_return std::move(made);
}

}  // namespace fairlead
