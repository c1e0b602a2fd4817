// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TlsHandshake: one handshake as hooks see and change it. Lies in the frame of whoever runs them.
#pragma once

#include <string_view>

#include "core/conf/value.h"
#include "event/tls/context.h"
#include "event/tls/openssl.h"

namespace fairlead {

struct TlsHandshake {
  explicit TlsHandshake(SSL& of) : ssl(of) {}
  SSL& ssl;
  // -- as a server, while the client hello is looked at --
  uint32_t protocols = 0;   // TlsProtocol bits that may be spoken; 0: what the server's configuration says
  SslSessionPtr found;      // what the client's session id stands for
  // -- when a session was made --
  SSL_SESSION* made = nullptr;
  // -- as a client, when the peer's certificate was verified --
  long verify_result = 0;   // X509_V_OK or what is wrong with the chain
  bool overrules = false;   // verify_result is a hook's: a bad one ends the handshake whatever the configuration wants verified
};

}  // namespace fairlead
