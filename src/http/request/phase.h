// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The phases of a request: post_read, server_rewrite, find location, rewrite, preaccess, access, precontent, content. The entries of each
// are compiled per location; those that never wait run in plain loops.
#pragma once

#include "event/loop/task.h"
#include "http/hooks.h"
#include "http/request/request.h"

namespace fairlead::http {

// From the server's rewrite phase (or, in a named location, from that location's) to the end of content. The verdict is never next() or
// allow(). What does not wait runs in plain calls: this is the only frame unless an entry needs one.
Task<Verdict> run_phases(Request& request, Location* named);
// The log phase; plain.
void run_log_phase(Request& request);

// Compiles the plan of each location of all servers. When the configuration is complete.
void compile_plan(Location& location);

}  // namespace fairlead::http
