// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TlsServer: what one virtual server brings to handshakes: its context with certificates, trust and parameters. Which server a handshake
// means is asked of a TlsAccept, which the engine makes per connection. A TlsServer belongs to the generation; its context may be replaced
// while handshakes and connections still use the one before.
//
// A server without a certificate of its own (only_verifies()) is spoken to with that of its address's default server, whose handshake it
// is; what it brings is the verification of clients.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "event/file/blocking.h"
#include "event/tls/hot.h"
#include "event/tls/server_conf.h"
#include "event/tls/transport.h"

namespace fairlead {

class TlsServer;

// Who decides, in one connection. Called from within OpenSSL: plain, but for find_certificate().
class TlsAccept : public TlsQuestions {
 public:
  // The server of a name out of the client hello (lower case; empty: none was sent, or one that no host may have). nullptr: the handshake
  // is refused with unrecognized_name.
  virtual const TlsServer* choose(std::string_view server_name) = 0;
  // Application protocols that the chosen server speaks, the preferred one first, each behind its length (RFC 7301); empty: ALPN is
  // ignored.
  virtual std::string_view protocols() const = 0;
  // Whether answer_hello() and find_certificate() are to be asked; the second for the server that was chosen.
  virtual bool asks_about_hello() const { return false; }
  virtual bool asks_for_certificate() const = 0;
  // The server was chosen and its parameters hold: the last word about them.
  virtual void settle(SSL&) {}
  // A session that the client wants to resume and that answer_hello() found; nullptr: it is looked for where sessions are kept. `id`: its.
  virtual SslSessionPtr find_session(std::string_view) { return nullptr; }
  virtual void session_made(SSL&, SSL_SESSION&) {}

 protected:
  ~TlsAccept() = default;
};

class TlsServer final : public HotTls {
 public:
  // Loads everything that `conf`, which outlives it, names. The error is a whole sentence.
  static ConfResult<std::unique_ptr<TlsServer>> make(const TlsServerConf& conf);
  const TlsServerConf& conf() const { return conf_; }
  bool only_verifies() const { return !conf_.wants_context(); }
  // False: it only verifies but names no authorities, so the result of the default server's verification counts (as in nginx).
  bool brings_verification() const {
    return !only_verifies() || conf_.has_authorities() || conf_.verify_client == VerifyClient::optional_no_ca;
  }
  // Certificates whose sources have variables are found per handshake.
  bool has_variable_certificates() const { return has_variables_; }
  // The answer of a responder about `certificate` (which this server shows), sent to clients until `valid_until` (seconds since 1970).
  void staple(X509& certificate, std::string response, int64_t valid_until) const;
  std::vector<std::string> sources() const override;
  ConfResult<SslContextPtr> load() const override { return build(); }
  void swap(SslContextPtr context) override;
  SSL_CTX* current() const override { return context_.get(); }
  // For a connection that came to this server's address, whose default it is: a fresh SSL in the role of the server.
  SslPtr accept() const;
  // For find_certificate(): a certificate out of sources whose variables have been evaluated, on `ssl`. Loads on a thread of `files`. The
  // error is a whole sentence.
  Task<ConfResult<Unit>> use_certificate(SSL& ssl, BlockingPool& files, std::string certificate, std::string key) const;
  // Makes a running handshake this server's: certificates, trust, versions, groups; of one that only verifies, the trust. Within the
  // client hello.
  void take_over(SSL& ssl) const;

 private:
  explicit TlsServer(const TlsServerConf& conf) : conf_(conf), cache_(conf.certificate_cache) {}
  ConfResult<SslContextPtr> build() const;
  void set_stapling(SSL_CTX& context) const;
  ConfResult<Unit> set_verification(SSL_CTX& context) const;
  void take_over_verification(SSL& ssl) const;
  ConfResult<Unit> prepare_handshakes();
  ConfResult<Unit> load_staple();
  static int on_status_wanted(SSL* ssl, void* server);

  const TlsServerConf& conf_;
  std::unique_ptr<TlsSessions> sessions_;  // outlives the contexts; nullptr if it only verifies
  SslContextPtr context_;
  mutable PairCache cache_;
  struct Staple {
    std::string response;
    int64_t valid_until;
  };
  mutable std::unordered_map<std::string, Staple> staples_;  // by fingerprint; of this process
  bool has_variables_ = false;
};

// A transport for `ssl` (of TlsServer::accept()) over `below`; its callbacks ask `accept` until the handshake has ended.
std::unique_ptr<TlsTransport> make_server_transport(Transport& below, const TlsServer& server, TlsAccept& accept, Slice received);

}  // namespace fairlead
