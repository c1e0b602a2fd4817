// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/revocation.h"

#include <openssl/err.h>

#include <ctime>
#include <optional>

#include "core/base/format.h"
#include "core/shm/table.h"
#include "event/dns/resolver_conf.h"
#include "event/tls/ocsp.h"
#include "event/tls/peer.h"
#include "event/worker.h"

namespace fairlead {

namespace {

constexpr uint64_t ask_timeout_ms = 60'000;

struct KeptVerdict {
  int64_t valid_until;
  OcspStatus status;
};
using VerdictTable = ShmTable<KeptVerdict>;

// The chain from the client's certificate to a trusted one. A resumed session has no chain of its own: it is found again.
using Chain509 = std::vector<X509Ptr>;
Chain509 chain_of(SSL& ssl, X509_STORE& trust) {
  Chain509 chain;
  X509_STORE_CTX* search = X509_STORE_CTX_new();
  X509* leaf = SSL_get0_peer_certificate(&ssl);
  bool found = search && X509_STORE_CTX_init(search, &trust, leaf, SSL_get_peer_cert_chain(&ssl)) == 1 && X509_verify_cert(search) == 1;
  if (found) {
    STACK_OF(X509)* all = X509_STORE_CTX_get0_chain(search);
    for (int i = 0; i < sk_X509_num(all); ++i) chain.push_back(share(sk_X509_value(all, i)));
  }
  X509_STORE_CTX_free(search);
  ERR_clear_error();
  return chain;
}

bool find_kept(Zone* zone, const std::string& key, OcspStatus& status) {
  if (!zone) return false;
  ShmLockGuard guard = zone->lock();
  KeptVerdict* kept = VerdictTable::in(*zone).find(key);
  if (!kept || kept->valid_until <= time(nullptr)) return false;
  status = kept->status;
  return true;
}

void keep(Zone* zone, const std::string& key, const OcspVerdict& verdict) {
  if (!zone) return;
  ShmLockGuard guard = zone->lock();
  auto found = VerdictTable::in(*zone).find_or_insert(key);
  if (found.value) *found.value = {verdict.valid_until, verdict.status};
}

}  // namespace

// The status of one certificate of the chain. Nothing: whoever was asked did not say.
static Task<std::optional<OcspStatus>> status_of(Worker& worker, const ResolverConf& names, const TlsServerConf& conf,
                                                 OcspQuestion question, const Logger& log) {
  std::string key = fingerprint_text(*question.certificate);
  OcspStatus status = OcspStatus::unknown;
  if (find_kept(conf.ocsp_cache, key, status)) co_return status;
  std::string_view given = conf.ocsp_responder;
  auto responder = given.empty() ? OcspResponder::of(*question.certificate) : OcspResponder::parse(given);
  std::string reason;
  if (responder) {
    auto verdict = co_await ask_ocsp(worker, names, *responder, question, ask_timeout_ms);
    if (verdict) {
      keep(conf.ocsp_cache, key, *verdict);
      co_return verdict->status;
    }
    reason = verdict.error();
  } else {
    reason = responder.error();
  }
  std::string subject = subject_text(*question.certificate, NameFormat::rfc2253);
  log.error("{} while requesting certificate status, certificate: \"{}\"", reason, subject);
  co_return std::nullopt;
}

Task<std::string> check_revocation(Worker& worker, const ResolverConf& names, const TlsServerConf& conf, SSL& ssl, Logger log) {
  if (conf.ocsp == ClientOcsp::off || !has_peer_certificate(ssl) || !verify_result(ssl).is_good()) co_return std::string();
  X509StorePtr trust = share(trust_of(ssl));
  Chain509 chain = chain_of(ssl, *trust);
  if (chain.empty()) co_return std::string("certificate status unknown");
  bool is_alone = chain.size() == 1;  // trusted itself: nobody above to ask
  size_t count = is_alone ? 0 : conf.ocsp == ClientOcsp::leaf ? 1 : chain.size() - 1;
  for (size_t i = 0; i < count; ++i) {
    OcspQuestion question{chain[i].get(), chain[i + 1].get(), trust.get(), true};
    std::optional<OcspStatus> status = co_await status_of(worker, names, conf, question, log);
    if (!status) co_return std::string("certificate status request failed");
    if (status == OcspStatus::revoked) co_return std::string("certificate revoked");
    if (status == OcspStatus::unknown) co_return std::string("certificate status unknown");
  }
  co_return std::string();
}

}  // namespace fairlead
