// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Who the client of a connection is by its certificate; found out once, when a module first asks.
#pragma once

#include "event/tls/identity.h"
#include "http/request/client_facts.h"

namespace fairlead::http {

// Unverified and empty without TLS, without a verified certificate, and where it was revoked (ssl_ocsp). Lives as long as the connection.
const PeerIdentity& client_identity(const ClientFacts& facts);

}  // namespace fairlead::http
