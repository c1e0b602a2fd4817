// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Limits and times of HTTP/2 connections. Sizes in bytes, times in milliseconds (0: no limit).
#pragma once

#include <cstddef>
#include <cstdint>

#include "http/message/head_rules.h"

namespace fairlead::http::h2 {

// nghttp2 takes no name or value that is longer as it is encoded: its decompression fails, which ends the connection.
inline constexpr uint32_t field_bytes_max = 65'536;

// Of the trailers of a response, counted as RFC 9113 section 6.5.2 says; the fields behind are dropped.
inline constexpr uint32_t trailer_bytes_max = 65'536;

// What a peer may do that brings it nothing (conduct.h).
struct ConductLimits {
  uint32_t resets_max = 1000;           // streams given up; a tenth comes back each second, one with each answered stream
  uint32_t control_frames_max = 10000;  // frames without a message; a tenth comes back each second, two with each message frame we send
  uint32_t refused_max = 128;           // streams beyond the limit, in the connection's whole life
};

// Of either side.
struct SessionRules {
  uint32_t streams_max = 128;              // that the peer may have open at once
  uint32_t stream_window_bytes = 65'536;   // of a body that nobody has pulled yet
  uint32_t chunk_bytes = 8192;             // of one DATA frame of ours
  uint32_t head_list_bytes_max = 32'768;   // announced; what is done with more is the stream's matter
  uint64_t send_timeout_ms = 60'000;       // the socket takes nothing for so long: the connection is lost
  bool connect_protocol = false;           // RFC 8441 is offered
  ConductLimits conduct;
};

// Towards clients: those of the default server of the address.
struct ServerRules {
  SessionRules session;
  HeadRules head;                       // line_bytes_max: of a field
  size_t read_bytes_max = 256 * 1024;   // of one connection before others have their turn
  uint64_t header_timeout_ms = 60'000;
  uint64_t keepalive_timeout_ms = 75'000;
  uint64_t lingering_time_ms = 30'000;
  uint64_t lingering_timeout_ms = 5'000;
};

}  // namespace fairlead::http::h2
