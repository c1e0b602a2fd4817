// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Certificates, keys and revocation lists out of files or texts of the configuration. Plain and blocking: for the load of a configuration,
// and at run time for small local files. Who caches or swaps them is not decided here.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "event/tls/openssl.h"

namespace fairlead {

// A certificate with the chain that is sent behind it, and its key.
struct KeyPair {
  X509Ptr certificate;
  std::vector<X509Ptr> chain;
  KeyPtr key;
};

// `source`: an absolute path, or "data:" and the PEM text itself; a key may be "engine:NAME:ID" or "store:URI", too. Reasons are nginx's.
ConfResult<KeyPair> load_certificate(std::string_view source);
// The `source` that a certificate of load_certificate() is from, as it may be shown; empty: it is none of those. Lives as long as it.
std::string_view source_of(X509& certificate);
// Tries the passwords in order if the key is encrypted.
ConfResult<KeyPtr> load_key(std::string_view source, std::span<const std::string_view> passwords);
// All certificates of a file (a bundle of trusted ones).
ConfResult<std::vector<X509Ptr>> load_certificates(std::string_view source);
ConfResult<std::vector<X509CrlPtr>> load_crls(std::string_view source);

// Both, and whether the key belongs to the certificate.
ConfResult<KeyPair> load_pair(std::string_view certificate, std::string_view key, std::span<const std::string_view> passwords);

// Seconds since 1970 of an ASN.1 time, 0 if it cannot be read.
int64_t seconds_of(const ASN1_TIME* time);
// Whether the certificate is valid at `now` (seconds since 1970); else the reason.
ConfResult<Unit> check_dates(X509& certificate, int64_t now);

}  // namespace fairlead
