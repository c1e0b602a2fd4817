// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Connects to one address. Names, pools and retries are not decided here.
#pragma once

#include <memory>

#include "event/loop/loop.h"
#include "event/loop/task.h"
#include "event/net/conn_pool.h"
#include "event/net/socket.h"

namespace fairlead {

// A connected connection for `key`, its TLS handshake done if `options.tls` asks for one. `deadline_ms`: of both, absolute, 0 for none.
// Errors: refused, timeout, exhausted, system, closed and denied (by the handshake or its verification), with side upstream.
Task<Result<std::unique_ptr<PooledConnection>>> connect(Loop& loop, const Addr& to, const ConnectOptions& options, PoolKey key,
                                                        uint64_t deadline_ms);

}  // namespace fairlead
