// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Reading a request's body before it is used: in memory up to client_body_buffer_size, then in a file; it can be given again. Or passing it
// on as it arrives: then only a small one can.
#pragma once

#include "event/loop/task.h"
#include "http/request/request.h"

namespace fairlead::http {

// Reads the whole body; request.body() is then the kept one. Errors have side client (cut short, too large, timed out), local (the file) or
// upstream (one has it: is_body_lost); the client's are noted in fail_reason. Nothing if it was read already.
Task<Result<Unit>> read_body(Request& request);
// Whether the head says that there is a body, an empty one included.
bool names_body(const Request& request);
// Whether client_body_in_file_only makes a file even of an empty body. One that the head does not name is none.
bool has_file_if_empty(const Request& request);
// Gives it this body, all of which is there, as the one that was read.
void give_body(Request& request, Body& body);
// The line that the error log gets for such an error.
void log_body_failure(Request& request, const Error& error);
// What the request ends with after it: 413, 408 or 400 for the client's, 500 for ours, 502 if an upstream has the body.
uint16_t status_of_body_failure(const Error& error);
// The body from its first byte, for a reader who sends it on as it arrives. `bytes_max` of it are kept for rewind_body(). Only if it was
// not read ahead.
ReplayBody& pass_body(Request& request, uint64_t bytes_max);
// A part of it was pulled and not kept: whoever reads it now is told so.
bool is_body_lost(const Request& request);
// From now on it is: somebody else pulls it, or failed to. The next reader would take what is left of it for the whole.
void lose_body(Request& request, const Error& why);
// From now on the request is one without a body, whoever asks: it was refused, or failed. What still comes of it goes where the rest of any
// body goes that nobody read.
void drop_body(Request& request);
// The body from its first byte, for another try or another reader; one that is lost fails from now on.
void rewind_body(Request& request);

}  // namespace fairlead::http
