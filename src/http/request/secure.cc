// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/secure.h"

#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/conf/listen.h"
#include "http/h1/server.h"
#include "http/request/client_facts.h"
#include "http/request/request.h"
#include "event/tls/peer.h"

namespace fairlead::http {

namespace {

// The first byte of a TLS record with a client hello; the other is that of SSL 2's hello.
bool begins_handshake(char first) { return first == 0x16 || (first & 0x80); }

}  // namespace

SecureClient::SecureClient(ClientFacts& facts) : facts_(facts), server_(facts.listen.hosts.default_server) {}

// A server without TLS of its own (no certificate) is spoken to with that of the address's default server.
const TlsServer* SecureClient::choose(std::string_view server_name) {
  const VirtualHosts& hosts = facts_.listen.hosts;
  if (!server_name.empty()) {
    if (Server* found = hosts.find_named(server_name, nullptr)) {
      server_ = found;
      name_ = server_name;
    }
  }
  return server_->tls ? server_->tls : hosts.default_server->tls;
}

Task<bool> SecureClient::find_certificate(SSL&) { co_return false; }

Task<bool> SecureClient::open(Connection& client, h1::RequestSink& sink) {
  const CoreConf& core = conf<CoreConf>(*server_->block);
  uint64_t deadline = client.loop().deadline(core.client_header_timeout);
  while (client.unread().empty()) {
    sink.idle(true);
    WaitStatus status = co_await client.readable(std::min(deadline, sink.idle_deadline_ms()));
    sink.idle(false);
    if (status == WaitStatus::timeout) co_return false;
    IoStatus got = client.fill(core.client_header_buffer_size.bytes).status;
    if (got == IoStatus::end || got == IoStatus::failed) co_return false;
  }
  if (!begins_handshake(client.unread()[0])) co_return true;
  bool done = co_await handshake(client);
  co_return done;
}

Task<bool> SecureClient::handshake(Connection& client) {
  uint64_t deadline = client.loop().deadline(conf<CoreConf>(*server_->block).client_header_timeout);
  facts_.doing = "SSL handshaking";
  auto made = make_server_transport(client.transport(), *server_->tls, *this, client.take_slice(client.unread().size()));
  if (!made) {
    facts_.logger().crit("SSL_new() failed{}", take_openssl_errors());
    co_return false;
  }
  client.release_if_empty();
  transport_ = made.get();
  client.add_layer(std::move(made));
  auto done = co_await transport_->handshake(this, deadline);
  if (!done) {
    const Error& error = done.error();
    Logger logger = facts_.logger();
    if (!transport_->failure().empty()) logger.info("{}", transport_->failure());
    else logger.info(Errno{error.sys}, "{}", error.what);
    co_return false;
  }
  facts_.doing = {};
  facts_.is_secure = true;
  facts_.secure = this;
  facts_.alpn = transport_->alpn();
  co_return true;
}

// Whether two servers trust the same clients: a connection verified for one is then as good for the other.
static bool trusts_alike(const TlsServerConf& a, const TlsServerConf& b) {
  return a.client_certificate == b.client_certificate && a.trusted_certificate == b.trusted_certificate && a.crl == b.crl &&
         a.verify_client == b.verify_client && a.verify_depth == b.verify_depth;
}

static bool is_for_other_server(const Request& request, const SecureClient& secure) {
  const TlsServer* own = request.server->tls;
  if (!own || own->conf().verify_client == VerifyClient::off || request.server == &secure.server()) return false;
  if (secure.is_named()) return request.head.host != secure.name();
  const TlsServer* used = secure.server().tls;
  return used != own && (!used || !trusts_alike(used->conf(), own->conf()));
}

Verdict check_secure(Request& request) {
  if (!request.facts.is_secure) {
    request.logger.info("client sent plain HTTP request to HTTPS port");
    return Verdict::status(497);
  }
  const SecureClient& secure = *request.facts.secure;
  if (is_for_other_server(request, secure)) {
    request.logger.info("client attempted to request the server name different from the one that was negotiated");
    return Verdict::status(421);
  }
  const TlsServer* own = request.server->tls;
  VerifyClient verify = own ? own->conf().verify_client : VerifyClient::off;
  if (verify == VerifyClient::off) return Verdict::next();
  SSL& ssl = secure.transport().ssl();
  VerifyResult result = verify_result(ssl);
  if (!result.is_good() && !(verify == VerifyClient::optional_no_ca && result.is_untrusted_only())) {
    request.logger.info("client SSL certificate verify error: ({}:{})", result.code, result.text());
    forget_session(ssl);
    return Verdict::status(495);
  }
  if (verify == VerifyClient::on && !has_peer_certificate(ssl)) {
    request.logger.info("client sent no required SSL certificate");
    forget_session(ssl);
    return Verdict::status(496);
  }
  return Verdict::next();
}

}  // namespace fairlead::http
