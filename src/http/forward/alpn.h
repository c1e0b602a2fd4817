// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// AlpnProtocol: HTTP/2 or HTTP/1.1 towards a peer, whichever it chooses in its handshake (proxy_ssl_alpn). Requests are ready for both.
// As long as a peer is not known to choose HTTP/1.1, its connections are made one after the other: those who wait may share the first.
#pragma once

#include "http/request/peer_exchange.h"

namespace fairlead::http {

// AttemptTarget::limits is set by who uses it, and the handshake offers both protocols without must_choose.
class AlpnProtocol final : public PeerProtocol {
 public:
  constexpr AlpnProtocol() : PeerProtocol("alpn") {}
  PeerExchange* try_open(const PeerCall& call) const override;
  Task<Result<PeerExchange*>> open(PeerCall call, uint64_t deadline_ms) const override;
};

extern const AlpnProtocol alpn_protocol;

}  // namespace fairlead::http
