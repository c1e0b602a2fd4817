// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// From a decided response to bytes: the filters of the location, the fields that the engine adds, and sending. Also the small responses
// that many places give: texts, redirects, built-in pages (error_page.h).
#pragma once

#include "event/loop/task.h"
#include "http/request/request.h"

namespace fairlead::http {

// A Response::refused_status: the connection is closed without an answer.
constexpr uint16_t refused_in_silence = 1;

// Sends request.response: filters, head, body. Plain: true if that is all, with `verdict` done; false: something has to be waited for, call
// finish_send(). The head is settled after this.
bool try_send(Request& request, Verdict& verdict);
Task<Verdict> finish_send(Request& request);
// For a body that is pushed piece by piece: settles the head (filters included) and sends nothing yet. False: a filter refused the
// response, and the request goes on with `verdict`. Then pump_response() as often as there is something to send; what it could not send,
// finish_send() does.
bool commit_head(Request& request, Verdict& verdict);
// Plain: sends what is there and what the client takes. After failed the log has its line and the connection is broken.
Progress pump_response(Request& request);
// Once the head is settled: of an HTTP/1.1 response whether chunks tell where it ends.
bool is_chunked(const Request& request);
// Both, for callers off the hot path.
Task<Verdict> send(Request& request);

// Fills the response with a text that lives as long as the request. The type goes out as given.
void set_text(Request& request, unsigned status, std::string_view content_type, std::string_view text);

// 301 to the same path with a slash, query kept.
Verdict redirect_with_slash(Request& request);
// What the location says about the request before anything is done with it: the body's size (413), body time-outs, log level, rates.
Verdict apply_location_limits(Request& request);

// Adds a WWW-Authenticate. Not twice the same: what leads to a 401 may hold for the page that explains it, too.
void add_challenge(Request& request, std::string_view challenge);

// Adds a Location for `uri` ("/path" becomes absolute when the head leaves).
void set_location(Request& request, std::string_view uri);

}  // namespace fairlead::http
