// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Reading a request's body before it is used: in memory up to client_body_buffer_size, then in a file; it can be given again.
#pragma once

#include "event/loop/task.h"
#include "http/request/request.h"

namespace fairlead::http {

// Reads the whole body; request.body() is then the kept one. Errors have side client (cut short, too large, timed out) or local (the file).
// Nothing if it was read already.
Task<Result<Unit>> read_body(Request& request);
// The status that a request ends with for such an error: 413, 408, 400 or 500.
uint16_t status_of_body_failure(const Error& error);
// The line that the error log gets for such an error.
void log_body_failure(Request& request, const Error& error);
// From now on the request is one without a body, whoever asks: it was refused, or failed. What still comes of it goes where the rest of any
// body goes that nobody read.
void drop_body(Request& request);
// The kept body from its first byte, for another try.
void rewind_body(Request& request);

}  // namespace fairlead::http
