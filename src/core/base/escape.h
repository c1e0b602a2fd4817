// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Text made safe for a place: a URI, HTML, JSON, a log line; and percent-decoding. Parsing of URIs is in http. Pure functions: the
// caller brings the memory, asks escaped_size() for the room and writes with escape_to(); escape_append() is for cold paths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fairlead {

// The percent sets (%XX, upper-case) are nginx's, but for `target` and `controls`. Those before `memcached` escape 0x00-0x1f, 0x7f-0xff and
// what RFC 3986 never allows: " < > \ ^ ` { | }
enum class Escape : uint8_t {
  uri,            // a path: also space # % ?
  args,           // a query argument: also space # % & + ; ?
  uri_component,  // all but letters, digits and - . _ ~
  uri_in_html,    // a URI that goes into an attribute: also space # % '
  uri_in_refresh, // an escaped URI that goes into a Refresh line: also space ' but not %
  memcached,      // a memcached key: 0x00-0x1f space % only
  target,         // a URI on its way into a request line or a :path, escaped as it has to be: 0x00-0x20 and 0x7f only
  controls,       // a URI on its way into a header field: 0x00-0x1f and 0x7f only
  html,           // < > & " to entities
  json,           // a JSON string without its quotes; bytes over 0x7f stay (RFC 8259 section 7)
  log,            // access log: " \ and all but 0x20-0x7e as \xHH, upper-case
  error_log,      // foreign text in the error log: 0x00-0x1f and 0x7f as \xHH, upper-case
};

// The bytes that `text` takes when escaped; equal to text.size() only if nothing is to be escaped.
size_t escaped_size(Escape set, std::string_view text);
// Writes escaped_size(set, text) bytes at `to`, which must not overlap `text`. Gives the end.
char* escape_to(Escape set, char* to, std::string_view text);
void escape_append(Escape set, std::string& to, std::string_view text);

// What becomes of a % that two hex digits do not follow.
enum class BadPercent : uint8_t {
  drop,  // as nginx: it goes, with the first digit if that was one
  keep,  // stays as it is
};
// Decodes %XX, writing at most text.size() bytes at `to`, which may be text.data(). '+' stays. Gives the end.
char* unescape_to(char* to, std::string_view text, BadPercent bad = BadPercent::drop);

}  // namespace fairlead
