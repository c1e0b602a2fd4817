// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// OCSP (RFC 6960): asking a responder over HTTP whether a certificate is still good, and judging its answer. HTTP itself is OpenSSL's, over
// memory; the bytes travel on a Connection of ours. Who asks, and what is kept of the answer, is in staple.h and revocation.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "event/loop/task.h"
#include "event/tls/openssl.h"

namespace fairlead {

class Worker;
struct ResolverConf;

enum class OcspStatus : uint8_t { good, revoked, unknown };

struct OcspVerdict {
  OcspStatus status = OcspStatus::unknown;
  std::string response;    // as it came, for stapling
  int64_t valid_until = 0; // seconds since 1970; an answer without an end counts for an hour
};

// "http://host[:port][/path]" of a responder.
struct OcspResponder {
  std::string host, path;
  uint16_t port = 80;
  static ConfResult<OcspResponder> parse(std::string_view url);
  // Of the certificate's authority information access; the reason if there is none.
  static ConfResult<OcspResponder> of(X509& certificate);
};

// What is asked about, and whom answers are believed.
struct OcspQuestion {
  X509* certificate = nullptr;
  X509* issuer = nullptr;
  X509_STORE* trusted = nullptr;  // for the responder's signature
  bool verify = true;             // that signature
};

// The issuer of `certificate` among `chain` (may be null) and what `store` trusts; nullptr if it is not there.
X509Ptr find_issuer(X509& certificate, STACK_OF(X509)* chain, X509_STORE* store);

// A whole DER answer. The reason if it is none, not about the certificate, out of its time, or not signed by whom it must be.
ConfResult<OcspVerdict> judge_ocsp(std::string_view response, const OcspQuestion& question);

// Asks over the network, within `timeout_ms`. The pointers outlive the task.
Task<ConfResult<OcspVerdict>> ask_ocsp(Worker& worker, const ResolverConf& names, OcspResponder responder, OcspQuestion question,
                                       uint64_t timeout_ms);

}  // namespace fairlead
