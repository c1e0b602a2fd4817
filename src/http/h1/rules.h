// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ServerRules: limits and times of HTTP/1 towards clients.
#pragma once

#include "http/h1/body.h"
#include "http/h1/parse.h"

namespace fairlead::http::h1 {

// Those of the address's default server, or of the one that a TLS handshake named; what a head may hold is the business of the server that
// it names from there on (HostRules). Times in milliseconds, 0: no limit.
struct ServerRules {
  HeadRules head;
  BodyRules body;
  size_t header_buffer_bytes = 1024;
  size_t arena_bytes = 6144;              // first block of a request's arena: all of a small proxied request fits
  uint64_t header_timeout_ms = 60'000;
  uint64_t keepalive_timeout_ms = 75'000;
  uint64_t lingering_time_ms = 30'000;
  uint64_t lingering_timeout_ms = 5'000;
  bool linger_always = false;             // read on after every last response, not only when the client may still be sending
};

}  // namespace fairlead::http::h1
