// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The variables that any session has, whatever its engine: addresses, the connection, the time, the process; and how numbers and times
// become the texts of variables. What only one engine knows is in http/conf and stream.
#pragma once

#include "core/conf/module.h"
#include "core/conf/session.h"

namespace fairlead {

extern const Module session_variables_module;

// Texts in the session's arena.
Value text_value(Session& session, std::string_view text);
Value number_value(Session& session, uint64_t number);
// "1.234" of milliseconds.
Value seconds_value(Session& session, uint64_t ms);

// The address the client connected to; asked of the kernel once if the listener is a wildcard.
const Addr& local_address(Session& session);

}  // namespace fairlead
