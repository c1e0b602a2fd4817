// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// SecureClient: TLS of a client's connection as far as HTTP decides it: which virtual server a name means, which protocols it speaks, and
// whether a request may be answered over the connection it came by. One per connection to a `listen ... ssl`, beside its ClientFacts.
#pragma once

#include <string_view>

#include "event/net/connection.h"
#include "event/tls/server.h"
#include "http/conf/server.h"
#include "http/request/verdict.h"

namespace fairlead::http {

class RequestSink;
class Request;
struct ClientFacts;

class SecureClient final : public TlsAccept {
 public:
  explicit SecureClient(ClientFacts& facts);
  // For a request that may outlast its connection: what the handshake of `of` came to stays known. Sets it in `facts`.
  SecureClient(ClientFacts& facts, const SecureClient& of);

  // The TLS step of a fresh connection: its handshake, within client_header_timeout. False: the connection is over, the log says why. True
  // with facts.is_secure unset: the client speaks plain HTTP; its bytes are unread, requests get 497.
  Task<bool> open(Connection& client, RequestSink& sink);

  const TlsServer* choose(std::string_view server_name) override;
  std::string_view protocols() const override { return server_->alpn_protocols; }
  bool asks_about_hello() const override;
  Task<bool> answer_hello(SSL& ssl) override;
  bool asks_for_certificate() const override;
  Task<bool> find_certificate(SSL& ssl) override;
  void settle(SSL& ssl) override;
  SslSessionPtr find_session(std::string_view id) override;
  void session_made(SSL& ssl, SSL_SESSION& session) override;

  // -- after the handshake --
  // For what is known of it; the connection may be gone.
  SSL& ssl() const { return *ssl_; }
  // The virtual server that the handshake was with.
  Server& server() const { return *server_; }
  // The client named it (server_name extension); else it is the default one.
  bool is_named() const { return !name_.empty(); }
  std::string_view name() const { return name_; }
  // Why a certificate that verified is not good after all (`ssl_ocsp`); empty: nothing is known against it.
  std::string_view revocation() const { return revocation_; }

 private:
  Task<bool> handshake(Connection& client);
  // Whose certificates the handshake shows: the server's, or the default one's if it has none.
  const TlsServer& shown() const;
  // The certificates of the server, whose sources have variables, on `ssl`.
  Task<ConfResult<Unit>> use_certificates(SSL& ssl, Request& request);

  ClientFacts& facts_;
  Server* server_;
  std::string name_;
  std::string revocation_;
  uint32_t protocols_ = 0;        // TlsProtocol bits that a hook restricted the handshake to; 0: none did
  SslSessionPtr found_session_;
  Connection* client_ = nullptr;
  TlsTransport* transport_ = nullptr;  // the connection's layer
  SSL* ssl_ = nullptr;                 // the transport's
  SslPtr kept_;                        // the same, held beyond the transport's end
};

// Runs the hooks that the request's place has at a point of a handshake, in order. False: one of them refused.
Task<bool> run_tls_hooks(TlsPoint at, Request& request, TlsHandshake& handshake);

// Whether a request to a `listen ... ssl` may go on: plain HTTP (497), a server that the handshake was not for (421), a client certificate
// that did not verify (495) or is missing (496). Plain; next() if all is well.
Verdict check_secure(Request& request);

}  // namespace fairlead::http
