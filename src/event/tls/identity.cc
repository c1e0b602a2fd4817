// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/identity.h"

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "event/tls/peer.h"

namespace fairlead {

bool PeerIdentity::is_known_as(std::string_view name) const { return !starts_with_nocase(name, "spiffe://") || name == spiffe_id; }

std::string_view PeerIdentity::shown() const {
  for (const auto* names : {&uris, &dns_names})
    for (const std::string& name : *names)
      if (is_known_as(name)) return name;
  return subject.empty() ? std::string_view("-") : std::string_view(subject);
}

static std::string sha256_of(X509& certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest, &bytes) != 1) return {};
  return hex({reinterpret_cast<const char*>(digest), bytes});
}

PeerIdentity peer_identity(SSL& ssl) {
  PeerIdentity identity;
  X509* certificate = SSL_get0_peer_certificate(&ssl);
  identity.is_verified = certificate && verify_result(ssl).is_good();
  if (!identity.is_verified) return identity;
  identity.uris = alternative_names(*certificate, AlternativeName::uri);
  identity.spiffe_id = spiffe_id(*certificate);
  identity.dns_names = alternative_names(*certificate, AlternativeName::dns);
  identity.subject = subject_text(*certificate, NameFormat::rfc2253);
  identity.sha256 = sha256_of(*certificate);
  identity.pem = pem_text(*certificate);
  // On the server's side the chain does not hold the peer's own certificate.
  identity.chain_pem = identity.pem;
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(&ssl);
  for (int i = 0; chain && i < sk_X509_num(chain); ++i) identity.chain_pem += pem_text(*sk_X509_value(chain, i));
  if (X509* own = SSL_get_certificate(&ssl)) {
    std::vector<std::string> own_uris = alternative_names(*own, AlternativeName::uri);
    if (!own_uris.empty()) identity.own_uri = own_uris.front();
  }
  return identity;
}

}  // namespace fairlead
