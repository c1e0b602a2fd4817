// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PeerTls: the hooks of a location that have a say in handshakes with its peers, as a TlsClient asks them. In the request's arena.
#pragma once

#include "event/tls/client.h"
#include "http/request/request.h"

namespace fairlead::http {

class PeerTls final : public TlsClientQuestions {
 public:
  explicit PeerTls(Request& request) : request_(request) {}
  bool asks_for_certificate() const override { return request_.location->plan.has_tls(TlsPoint::peer_certificate); }
  Task<bool> find_certificate(SSL& ssl) override;
  Task<bool> verify(TlsHandshake& handshake) override;

 private:
  Request& request_;
};

// For which requests what hooks decided in a handshake holds, and with it the connection and its session.
enum class HookedTls : uint8_t {
  no,            // none is asked
  per_location,  // the key of the connections says which
  per_request,   // who we are there was chosen, or refused, for this request alone
};
// Makes a PeerTls for the target if its location has such hooks.
HookedTls ask_hooks(Request& request, TlsTarget& target, std::string_view& key);

}  // namespace fairlead::http
