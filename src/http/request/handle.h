// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One request: phases, internal redirects, error pages, the log. Protocols call handle() with a prepared Request.
#pragma once

#include "event/loop/task.h"
#include "http/request/request.h"

namespace fairlead::http {

// Chooses the server, normalises the URI. next(), or what the request ends with at once.
Verdict prepare(Request& request);

// The whole life of a request. `first`: next(), or a verdict that stands before any phase (a malformed head).
Task<Unit> handle(Request& request, Verdict first);

}  // namespace fairlead::http
