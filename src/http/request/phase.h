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
// allow(). Plain: true if that is all, with `verdict` settled; false: `rest` has to be awaited and gives it. Thus a request whose phases do
// not wait has no frame but that of its content.
bool try_phases(Request& request, Location* named, Verdict& verdict, Task<Verdict>& rest);
// The log phase; plain.
void run_log_phase(Request& request);
// Of a subrequest that is not logged: the entries of `place` that see it all the same; plain.
void note_subrequest(Request& request, const Location& place);

// Compiles the plan of each location of all servers. When the configuration is complete.
void compile_plan(Location& location);

}  // namespace fairlead::http
