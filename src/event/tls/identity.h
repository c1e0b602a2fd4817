// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Who the peer of a finished handshake is, as its certificate says, for modules that decide by it. Only a verified one counts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "event/tls/openssl.h"

namespace fairlead {

struct PeerIdentity {
  bool is_verified = false;  // else all of it is empty
  std::vector<std::string> uris, dns_names;  // the subject's alternative names
  std::string subject;       // RFC 2253
  std::string sha256;        // of the certificate, hex, lower case
  std::string pem;           // the certificate
  std::string chain_pem;     // it and what the peer sent behind it
  std::string own_uri;       // the first URI name of the certificate that our side presented
  std::string spiffe_id;     // empty: the certificate is no SVID

  // Whether one of its names says who it is. A name that begins like a SPIFFE ID does so only in an SVID: in a certificate with a second
  // URI it is nobody's word which of them was meant.
  bool is_known_as(std::string_view name) const;
  // The first name that says who it is, for logs and policy services: "-" if there is none.
  std::string_view shown() const;
};

PeerIdentity peer_identity(SSL& ssl);

}  // namespace fairlead
