// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/client_identity.h"

#include "http/request/secure.h"

namespace fairlead::http {

const PeerIdentity& client_identity(const ClientFacts& facts) {
  if (const PeerIdentity* known = facts.slots.find<PeerIdentity>()) return *known;
  PeerIdentity& identity = facts.slots.use<PeerIdentity>();
  if (facts.secure && facts.secure->revocation().empty()) identity = peer_identity(facts.secure->ssl());
  return identity;
}

}  // namespace fairlead::http
