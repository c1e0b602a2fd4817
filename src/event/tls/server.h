// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TlsServer: what one virtual server brings to handshakes: its context with certificates, trust and parameters. Which server a handshake
// means is asked of a TlsAccept, which the engine makes per connection. A TlsServer belongs to the generation; its context may be replaced
// while handshakes and connections still use the one before.
#pragma once

#include <memory>
#include <string>
#include <string_view>

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

 protected:
  ~TlsAccept() = default;
};

class TlsServer {
 public:
  // Loads everything that `conf`, which outlives it, names. The error is a whole sentence.
  static ConfResult<std::unique_ptr<TlsServer>> make(const TlsServerConf& conf);
  const TlsServerConf& conf() const { return conf_; }
  // Certificates whose sources have variables are found per handshake.
  bool has_variable_certificates() const { return has_variables_; }
  // The context for new handshakes.
  SSL_CTX* context() const { return context_.get(); }
  // For a connection that came to this server's address: a fresh SSL in the role of the server.
  SslPtr accept() const;
  // Makes a running handshake this server's: certificates, trust, versions, groups. Within the client hello.
  void take_over(SSL& ssl) const;

 private:
  explicit TlsServer(const TlsServerConf& conf) : conf_(conf) {}
  ConfResult<SslContextPtr> build() const;

  const TlsServerConf& conf_;
  SslContextPtr context_;
  bool has_variables_ = false;
};

// A transport for `ssl` (of TlsServer::accept()) over `below`; its callbacks ask `accept` until the handshake has ended.
std::unique_ptr<TlsTransport> make_server_transport(Transport& below, const TlsServer& server, TlsAccept& accept, Slice received);

}  // namespace fairlead
