// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The heads of messages, whatever protocol carried them: what the first line and the fields say, and the facts about framing and
// connection that follow from them. Plain records: the parsers fill them, the engine reads them. Views point into the bytes of the
// head or into the arena; both outlive the record.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/message/headers.h"
#include "http/message/method.h"

namespace fairlead::http {

using Trailers = Headers;

constexpr int64_t no_length = -1;

// RFC 9112 section 3.2.
enum class TargetForm : uint8_t { origin, absolute, authority, asterisk };

// Where a message ends, as its head says.
struct Framing {
  int64_t content_length = no_length;  // bytes; no_length if the head does not say
  bool chunked = false;     // a body whose length is not known ahead: the chunked coding, or in HTTP/2 what lasts to the stream's end
  bool keep_alive = false;  // the sender is willing to go on with this connection after the message
};

// What is empty to begin with. A base of its own: what a constructor names as T() is cleared as one, 16 bytes at a time (from 64 bytes on);
// of members one by one a text alone takes two stores of 11 bytes of code.
struct RequestHeadParts {
  std::string_view request_line;                 // without its line end; for HTTP/2 put together from its parts
  std::string_view method_text;
  std::string_view target;    // as sent
  std::string_view protocol;  // "HTTP/1.1"; empty in 0.9
  // The target's path with query as sent, never normalised (http/message/uri.h does it); "*" and the authority stay themselves.
  std::string_view request_uri;
  std::string_view path, args;  // request_uri before and after the first `?`
  std::string_view scheme;      // of an absolute target
  // Lower case, no port, no trailing dot, IPv6 in brackets; from the absolute or authority target, else from Host.
  std::string_view host;
  std::string_view upgrade;  // the Upgrade header's value if Connection lists it and the version is 1.1
  const Headers* dropped = nullptr;  // fields left out for their names (HeadRules), for the log; in the arena, nullptr: none
  size_t bytes = 0;          // of the head on the wire
  uint16_t port = 0;         // 0: none given
  bool expect_continue = false;
  bool is_extended_connect = false;  // of HTTP/2 (RFC 8441), for a WebSocket; shown as the GET with Upgrade that it stands for
};

struct RequestHead : RequestHeadParts {
  explicit RequestHead(Arena& arena) : RequestHeadParts(), headers(arena) {}

  Method method = Method::other;
  TargetForm form = TargetForm::origin;
  uint8_t version_major = 1, version_minor = 1;  // 0.9: a request line without a version; 2.0, 3.0: not from HTTP/1
  Headers headers;
  Framing framing;

  bool has_body() const { return framing.chunked || framing.content_length > 0; }
  bool is_http_1_1() const { return version_major == 1 && version_minor >= 1; }
};

struct ResponseHead {
  explicit ResponseHead(Arena& arena) : headers(arena) {}

  uint16_t status = 0;
  uint8_t version_major = 1, version_minor = 1;
  std::string_view status_line;  // without its line end
  std::string_view reason;
  Headers headers;
  Framing framing;
  size_t bytes = 0;  // of the head on the wire
};

}  // namespace fairlead::http
