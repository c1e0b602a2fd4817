// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TlsClient: what one setting of proxy_ssl_* (and the like) brings to handshakes with peers: context, sessions, verification. TlsTarget is
// what one connection wants of it. A TlsClient belongs to the generation; each worker has its own after the fork. Its context may be
// replaced while connections still use the one before.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/conf/generation.h"
#include "core/conf/session.h"
#include "event/loop/loop.h"
#include "event/net/connection.h"
#include "event/tls/client_conf.h"
#include "event/tls/hot.h"
#include "event/tls/transport.h"

namespace fairlead {

class TlsClient;
struct TlsHandshake;
struct VerifyResult;

// Who has a say in the handshake of one connection to a peer besides its configuration. Alive until the handshake has ended.
class TlsClientQuestions : public TlsQuestions {
 public:
  virtual bool asks_for_certificate() const = 0;
  // The peer's certificate was verified (whatever the result). False: the connection is given up.
  virtual Task<bool> verify(TlsHandshake& handshake) = 0;

 protected:
  ~TlsClientQuestions() = default;
};

// What one connection is to be; made per try, in the arena of its session, which it does not outlive: copy_to() makes one that does.
struct TlsTarget {
  TlsClient* client = nullptr;
  std::string_view name;                  // that the certificate must have; no port
  std::string_view server_name;           // sent; empty: none
  std::string_view certificate, key;      // sources that had variables; empty: the context has what there is
  std::string_view protocols;             // for ALPN, each behind its length; empty: none
  bool must_choose = false;               // the peer has to choose one of them
  std::span<const std::string_view> sans; // in the order of the configuration's
  // Everything that makes connections interchangeable, for the key of a pool.
  std::string_view identity;
  std::string_view sessions_key;          // what sessions are kept under: the peer and the identity; empty: none are kept
  Arena* arena = nullptr;                 // for reasons that the log shows
  BlockingPool* files = nullptr;          // where certificates with variables are loaded
  TlsClientQuestions* questions = nullptr;
  bool is_handshaking = false;            // the connection stands, the handshake has not ended

  // Its texts, and the reasons to come, lie in `to`; it has no questions.
  TlsTarget* copy_to(Arena& to) const;
};

class TlsClient final : public HotTls {
 public:
  // Loads everything that `conf`, which outlives it, names. `prefix`: of its directives, "proxy_ssl". `number`: what tells it from others
  // of its generation.
  static ConfResult<std::unique_ptr<TlsClient>> make(const TlsClientConf& conf, std::string_view prefix, uint64_t number);

  // `host`: as the URL has it, with its port. `protocols`: for ALPN, see TlsTarget; must_choose is the caller's to set.
  TlsTarget* target(Session& session, std::string_view host, std::string_view protocols);
  // For a connection that belongs to no session; the configuration must not have variables.
  TlsTarget* target(Arena& arena, std::string_view host, std::string_view protocols);
  const TlsClientConf& conf() const { return conf_; }
  std::vector<std::string> sources() const override;
  ConfResult<SslContextPtr> load() const override { return build(); }
  void swap(SslContextPtr context) override;
  SSL_CTX* current() const override { return context_.get(); }

  // The handshake over `connection`, which gets its layer; then the verification. Errors: side upstream (local: its certificate cannot be
  // loaded), their text lives in the target's arena.
  Task<Result<Unit>> handshake(Connection& connection, TlsTarget& target, uint64_t deadline_ms);

 private:
  TlsClient(const TlsClientConf& conf, std::string_view prefix, uint64_t number)
      : conf_(conf), prefix_(prefix), number_(number), cache_(conf.certificate_cache) {}
  ConfResult<SslContextPtr> build() const;
  ConfResult<Unit> add_authorities(SSL_CTX& context) const;
  TlsTarget* new_target(Arena& arena, std::string_view name, std::string_view protocols);
  void identify(TlsTarget& target) const;
  // A fresh SSL for one connection, or the reason why not.
  Task<ConfResult<SslPtr>> open(const TlsTarget& target);
  Result<Unit> verify(const TlsTransport& tls, const TlsTarget& target, const VerifyResult& result) const;
  Task<Result<Unit>> verify_asking(TlsTransport& tls, const TlsTarget& target, uint64_t deadline_ms) const;
  bool has_wanted_name(X509& certificate, const TlsTarget& target) const;
  static int keep_session(SSL* ssl, SSL_SESSION* session);

  // Sessions kept for resumption, at most.
  static constexpr size_t sessions_max = 1024;
  const TlsClientConf& conf_;
  std::string_view prefix_;
  uint64_t number_;
  uint64_t version_ = 0;  // of the context: connections and sessions of an older one are not used again
  SslContextPtr context_;
  PairCache cache_;
  std::unordered_map<std::string, SslSessionPtr> sessions_;
};

// The clients of one module and generation: settings that are equal share one.
class TlsClients {
 public:
  // For a block whose peers are or may be spoken to with TLS; its files are watched if ssl_watch is on there.
  ConfResult<TlsClient*> of(Generation& generation, const Block& block, const TlsClientConf& conf, std::string_view prefix);

 private:
  std::unordered_map<std::string, std::unique_ptr<TlsClient>> all_;
};

// For generation functions: the client of a block, if its peers are, or may turn out to be, spoken to with TLS (`is_wanted`). `Conf` is a
// TlsClientConf with `tls` to be set, and in the root block `clients`, which blocks of equal settings share.
template <class Conf>
ConfResult<Unit> bind_tls(Generation& generation, const Block& block, std::string_view prefix, bool is_wanted) {
  Conf& own = conf<Conf>(block);
  if (own.tls || !is_wanted) return Unit();
  auto client = conf<Conf>(generation.root()).clients.of(generation, block, own, prefix);
  if (!client) return std::move(client.error());
  own.tls = *client;
  return Unit();
}

}  // namespace fairlead
