// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a finished handshake says, as texts in nginx's formats: the session, and the peer's certificate with its identity. Pure functions of
// OpenSSL's objects; the variables of http and stream and the modules that decide by identity stand on them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "event/tls/openssl.h"

namespace fairlead {

// -- the session --
std::string cipher_list_text(SSL& ssl);   // what the client offered, "A:B"; empty for resumed sessions
std::string curve_list_text(SSL& ssl);    // likewise
std::string curve_text(SSL& ssl);         // the group of the key exchange
std::string session_id_text(SSL& ssl);    // hex
// IANA's name of the scheme that the certificate of our side (of the peer) signed the handshake with; empty: resumed, or not known.
std::string signature_text(SSL& ssl, bool of_peer);
// The session may not be resumed: it was refused after its handshake.
void forget_session(SSL& ssl);

// -- a certificate --
enum class NameFormat : uint8_t { rfc2253, oneline };
std::string subject_text(X509& certificate, NameFormat format);
std::string issuer_text(X509& certificate, NameFormat format);
std::string serial_text(X509& certificate);       // hex, upper case
std::string fingerprint_text(X509& certificate);  // SHA-1, hex, lower case
std::string pem_text(X509& certificate);          // with its last line feed
std::string time_text(const ASN1_TIME* time);     // "Nov 26 10:00:00 2026 GMT"
// Whole days until it expires, 0 if it has.
uint64_t days_left(X509& certificate, int64_t now);

enum class AlternativeName : uint8_t { dns, uri };
// The subject's alternative names of a kind, as they stand in the certificate. Names with control characters or commas are left out:
// they could pass for several.
std::vector<std::string> alternative_names(X509& certificate, AlternativeName kind);
// The SPIFFE ID of a leaf (SPIFFE X.509-SVID section 2): its only URI name, if that is a valid ID; empty: none.
std::string spiffe_id(X509& certificate);
// Whether a text is a SPIFFE ID: trust domain and path in their alphabets, no query, fragment, port, user or empty or dotted segments.
bool is_spiffe_id(std::string_view id);

// Whether the certificate is for the host `name`: an address, or a name with the wildcards of certificates allowed for. None is for an
// empty name.
bool has_name(X509& certificate, std::string_view name);
// Whether a host is written as an address: it is not sent as a server's name (RFC 6066 section 3).
bool is_address_text(std::string_view host);

// -- verification --
struct VerifyResult {
  long code = 0;  // OpenSSL's X509_V_ERR_..., 0: verified, or there was nothing to verify
  bool is_good() const { return code == 0; }
  // It only says that the issuer is not among the trusted ones (optional_no_ca passes over it).
  bool is_untrusted_only() const;
  const char* text() const;
};
VerifyResult verify_result(SSL& ssl);
bool has_peer_certificate(SSL& ssl);

}  // namespace fairlead
