// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PeerBinder: ties sessions to peers, beside a group's balancer, which serves those that are bound to none (or to one that cannot serve).
// Set on a group by a directive of its block; peers are named by their routes. Plain: it must not wait.
#pragma once

#include <string>
#include <string_view>

namespace fairlead {

class Session;
struct Peer;

class PeerBinder {
 public:
  // The route of the peer that the session is bound to; empty: to none. The text lives as long as the session.
  virtual std::string_view bound_route(Session& session) const = 0;
  // A try on `peer` begins.
  virtual void picked(Session&, const Peer& /*peer*/) const {}
  // The head of its reply is there, which will be the answer; nothing of it was passed on.
  virtual void replied(Session&, const Peer& /*peer*/) const {}
  // That reply was passed on as a whole.
  virtual void finished(Session&, const Peer& /*peer*/) const {}

 protected:
  ~PeerBinder() = default;
};

// What a peer is called without a `route`, as in nginx: the MD5 of its address as text, in hexadecimal.
std::string default_route(std::string_view peer_name);

}  // namespace fairlead
