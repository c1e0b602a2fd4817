// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One request: phases, internal redirects, error pages, the log. Protocols call handle() with a prepared Request.
#pragma once

#include "event/loop/task.h"
#include "http/hooks.h"
#include "http/request/request.h"

namespace fairlead::http {

// Chooses the server, normalises the URI. next(), or what the request ends with at once.
Verdict prepare(Request& request);
// The same for a request whose head is malformed, as far as it is known: the server for its error pages and its log, and what the log says
// of it. On a TLS address that is the default server: whether this client may name another one is not asked any more.
void begin_refused(Request& request);

// The whole life of a request. `first`: next(), or a verdict that stands before any phase (a malformed head).
Task<Unit> handle(Request& request, Verdict first);

// The request of a subrequest, prepared by it: all phases but post_read and access; then the log, if log_subrequest says so.
Task<Unit> handle_subrequest(Request& request);
// The same for one that `content` answers in place of a location. A status that it gives becomes a built-in page.
Task<Unit> answer_subrequest(Request& request, Content content);

}  // namespace fairlead::http
