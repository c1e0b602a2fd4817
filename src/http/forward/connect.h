// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ConnectProtocol: nothing but a connection to a peer, for a CONNECT request. There is no message either way: a connected peer has
// "replied" with 200, and what follows is the tunnel's (tunnel.h).
#pragma once

#include "http/request/peer_connection.h"

namespace fairlead::http {

class ConnectProtocol final : public ConnectionProtocol {
 public:
  constexpr ConnectProtocol() : ConnectionProtocol("connect") {}

 protected:
  PeerExchange* make(const PeerCall& call, std::unique_ptr<PooledConnection> connection) const override;
};

extern const ConnectProtocol connect_protocol;

}  // namespace fairlead::http
