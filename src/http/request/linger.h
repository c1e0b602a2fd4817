// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The gentle end of a client connection.
#pragma once

#include "event/net/connection.h"

namespace fairlead::http {

// Ends our sending and drops what the client still sends, until it ends too, `time_ms` are over or nothing came for `timeout_ms`. Closing
// with unread bytes would reset the connection and could take the answer with it (RFC 9112 section 9.6).
Task<Unit> linger(Connection& client, uint64_t time_ms, uint64_t timeout_ms);

}  // namespace fairlead::http
