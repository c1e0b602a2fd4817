// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Status codes: reason phrases as nginx words them and what a code says about the message. Error pages are not made here.
#pragma once

#include <cstdint>
#include <cstddef>
#include <string_view>

namespace fairlead::http {

// The reason phrase that goes on the wire, or an empty text for a code that has none (the status line then ends in a space).
std::string_view reason_phrase(unsigned status);

// "HTTP/1.1 200 OK\r\n" for the codes with a phrase, or an empty text: the writer then composes the line.
std::string_view status_line(unsigned status);
constexpr size_t status_line_bytes_max = 64;  // none is longer

// The code that the client gets for one that exists inside only: 494 to 497 are 400.
constexpr unsigned wire_status(unsigned status) { return status >= 494 && status <= 497 ? 400 : status; }

// RFC 9110 sections 6.4.1 and 15: whether a response of this status carries content (the answer to HEAD is the caller's matter).
constexpr bool has_body(unsigned status) { return status >= 200 && status != 204 && status != 304; }

// Whether a file's date goes out with it: that of the page which explains an error says nothing of what was asked for.
constexpr bool has_last_modified(unsigned status) { return status == 200 || status == 206 || status == 304; }

constexpr bool is_interim(unsigned status) { return status >= 100 && status < 200 && status != 101; }

// Statuses whose Location header redirects the client.
constexpr bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace fairlead::http
