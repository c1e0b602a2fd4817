// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PeerLimits: how connections that carry several requests at once are used, and their directives as a bundle stamped with a prefix
// (proxy_http2, grpc_http2). A Conf that has them derives from PeerLimits.
#pragma once

#include <array>

#include "core/conf/value.h"
#include "http/conf/core_conf.h"

namespace fairlead::http::h2 {

// Times of 0: none.
struct PeerLimits {
  uint64_t streams_max = 128;    // of one connection at once; the peer may allow fewer
  uint64_t connections_max = 0;  // to one peer, of one worker; 0: no limit
  Msec ping_interval{0};         // a PING when nothing has arrived for so long; 0: never
  Msec ping_timeout{20'000};     // the connection is lost if nothing arrives for so long after a PING
  Size window{65'536};           // bytes of a reply's body that nobody has pulled yet
};

// `prefix`: "proxy_http2".
ConfResult<Unit> check_peer_limits(Block& block, const PeerLimits& limits, std::string_view prefix);

template <class Conf, FixedText P>
constexpr auto peer_directives = std::array<Directive, 5>{
    slot<Conf, &PeerLimits::streams_max>(joined_name<P, "_max_streams">, in_http_any,
                                         "Most requests at once on one HTTP/2 connection to a peer."),
    slot<Conf, &PeerLimits::connections_max>(joined_name<P, "_connections">, in_http_any,
                                             "Most HTTP/2 connections of a worker to one peer, 0: no limit."),
    slot<Conf, &PeerLimits::ping_interval>(joined_name<P, "_ping_interval">, in_http_any,
                                           "A PING is sent when a peer with requests under way was silent for so long, 0: never."),
    slot<Conf, &PeerLimits::ping_timeout>(joined_name<P, "_ping_timeout">, in_http_any,
                                          "How long a peer may be silent after a PING before its connection is given up."),
    slot<Conf, &PeerLimits::window>(joined_name<P, "_window_size">, in_http_any, "Bytes of one reply a peer may send ahead of its client."),
};

}  // namespace fairlead::http::h2
