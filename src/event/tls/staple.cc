// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/staple.h"

#include <algorithm>
#include <ctime>

#include "core/base/format.h"
#include "event/dns/resolver_conf.h"
#include "event/tls/hot.h"
#include "event/tls/ocsp.h"
#include "event/tls/pem.h"
#include "event/worker.h"

namespace fairlead {

namespace {

constexpr uint64_t ask_timeout_ms = 60'000;
// An answer is fetched again after an hour or before it ends; a failed question is repeated after five minutes, as in nginx.
constexpr int64_t refresh_most_s = 3600, refresh_least_s = 300;
// How often certificates that were swapped meanwhile are looked for.
constexpr int64_t look_s = 10;

// A certificate that a context shows, with whom to ask about it.
struct Asked {
  X509Ptr certificate, issuer;
  OcspResponder responder;
};

ConfResult<std::vector<Asked>> list_asked(const TlsServer& server) {
  std::vector<Asked> all;
  SSL_CTX* context = server.current();
  std::string reason;
  for_each_certificate(context, [&](X509& certificate) {
    STACK_OF(X509)* chain = nullptr;
    SSL_CTX_get0_chain_certs(context, &chain);
    Asked one;
    one.certificate = share(&certificate);
    one.issuer = find_issuer(certificate, chain, SSL_CTX_get_cert_store(context));
    std::string_view shown = source_of(certificate);
    if (!one.issuer) {
      reason = format("issuer certificate not found for certificate \"{}\"", shown);
      return;
    }
    std::string_view given = server.conf().stapling_responder;
    auto responder = given.empty() ? OcspResponder::of(certificate) : OcspResponder::parse(given);
    if (!responder) {
      reason = format("{} in the certificate \"{}\"", responder.error(), shown);
      return;
    }
    one.responder = std::move(*responder);
    all.push_back(std::move(one));
  });
  if (all.empty() && !reason.empty()) return reason;
  return all;
}

}  // namespace

ConfResult<Unit> check_stapling(const TlsServer& server) {
  auto asked = list_asked(server);
  if (!asked) return std::move(asked.error());
  return Unit();
}

// Asks about one; gives when to ask again.
static Task<int64_t> refresh(Worker& worker, const TlsServer& server, const ResolverConf& names, Asked& asked, const Logger& log) {
  SslContextPtr pinned = share(server.current());  // the store is its
  X509_STORE* store = SSL_CTX_get_cert_store(pinned.get());
  OcspQuestion question{asked.certificate.get(), asked.issuer.get(), store, server.conf().stapling_verify};
  auto verdict = co_await ask_ocsp(worker, names, asked.responder, question, ask_timeout_ms);
  int64_t now = time(nullptr);
  std::string_view shown = source_of(*asked.certificate);
  if (!verdict) {
    log.error("{} while requesting certificate status, responder: {}, certificate: \"{}\"", verdict.error(), asked.responder.host, shown);
    co_return now + refresh_least_s;
  }
  if (verdict->status != OcspStatus::good) {
    log.error("certificate status \"{}\" in the OCSP response, responder: {}, certificate: \"{}\"",
              verdict->status == OcspStatus::revoked ? "revoked" : "unknown", asked.responder.host, shown);
    co_return now + refresh_least_s;
  }
  server.staple(*asked.certificate, std::move(verdict->response), verdict->valid_until);
  co_return std::max(now + refresh_least_s, std::min(verdict->valid_until, now + refresh_most_s));
}

Task<Unit> keep_stapled(Worker& worker, const TlsServer& server, const ResolverConf& names, Logger log) {
  for (;;) {
    SSL_CTX* shown = server.current();
    int64_t next = time(nullptr) + refresh_most_s;
    auto asked = list_asked(server);
    if (asked) {
      for (Asked& one : *asked) {
        int64_t again = co_await refresh(worker, server, names, one, log);
        next = std::min(next, again);
      }
    }
    while (shown == server.current() && time(nullptr) < next) co_await Sleep(worker.loop(), look_s * 1000);
  }
}

}  // namespace fairlead
