// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/secure.h"

#include "event/dns/resolver_conf.h"
#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/conf/listen.h"
#include "http/request/request.h"
#include "http/request/sink.h"
#include "http/request/client_facts.h"
#include "http/request/request.h"
#include "event/tls/client_hello.h"
#include "event/tls/handshake.h"
#include "event/tls/peer.h"
#include "event/tls/revocation.h"

namespace fairlead::http {

namespace {

// A handshake has no request: variables that ask for one find an empty head on a connection.
class NoExchange final : public Exchange {
 public:
  explicit NoExchange(Connection& client) : client_(client) {}
  Connection& connection() override { return client_; }
  Body& request_body() override { return body_; }
  void limit_body(uint64_t, uint64_t) override {}
  void send_interim(uint16_t, const Headers*) override {}
  Progress pump(Outgoing&) override { return Progress::failed; }
  Error error() const override { return {}; }
  bool head_sent() const override { return false; }
  uint64_t received_body_bytes() const override { return 0; }
  uint64_t sent_bytes() const override { return 0; }
  uint64_t sent_body_bytes() const override { return 0; }
  Task<WaitStatus> writable(uint64_t) override { co_return WaitStatus::timeout; }
  bool is_gone() const override { return client_.watch().has_hung_up(); }
  void alert_gone(Resumable*) override {}
  void abandon() override { client_.mark_broken(); }
  bool is_broken() const override { return client_.is_broken(); }

 private:
  Connection& client_;
  EmptyBody body_;
};

// The first byte of a TLS record with a client hello; the other is that of SSL 2's hello.
bool begins_handshake(char first) { return first == 0x16 || (first & 0x80); }

}  // namespace

SecureClient::SecureClient(ClientFacts& facts) : facts_(facts), server_(facts.listen.hosts.default_server) {}

SecureClient::SecureClient(ClientFacts& facts, const SecureClient& of)
    : facts_(facts), server_(of.server_), name_(of.name_), revocation_(of.revocation_), ssl_(of.ssl_) {
  SSL_up_ref(ssl_);
  kept_.reset(ssl_);
  facts.secure = this;
  facts.is_secure = true;
  facts.alpn = of.facts_.alpn;  // in the SSL
}

// A server without TLS of its own (no certificate) is spoken to with that of the address's default server.
const TlsServer* SecureClient::choose(std::string_view server_name) {
  const VirtualHosts& hosts = facts_.listen.hosts;
  if (!server_name.empty()) {
    VirtualHosts::Named found = hosts.find_named(server_name, nullptr);
    if (found.is_undecided) return nullptr;
    if (found.server) {
      server_ = found.server;
      name_ = server_name;
    }
  }
  return server_->tls ? server_->tls : hosts.default_server->tls;
}

const TlsServer& SecureClient::shown() const {
  const TlsServer* own = server_->tls;
  return own && !own->only_verifies() ? *own : *facts_.listen.hosts.default_server->tls;
}

// A source of a certificate below the folder of the configuration file, like those without variables.
static std::string source_of(const Template& source, Request& request) {
  std::string_view text = source.evaluate(request);
  bool is_path = !text.starts_with('/') && !text.starts_with("data:") && !text.starts_with("engine:") && !text.starts_with("store:");
  if (text.empty() || !is_path) return std::string(text);
  std::string path = request.generation().request().conf_path;
  path.resize(path.rfind('/') + 1);
  return path.append(text);
}

Task<ConfResult<Unit>> SecureClient::use_certificates(SSL& ssl, Request& request) {
  const TlsServer& server = shown();
  const TlsServerConf& own = server.conf();
  for (size_t i = 0; i < own.certificates.size(); ++i) {
    std::string certificate = source_of(own.certificates[i], request), key = source_of(own.keys[i], request);
    if (certificate.empty()) continue;
    auto used = co_await server.use_certificate(ssl, facts_.worker.files(), certificate, key);
    if (!used) co_return std::move(used.error());
  }
  co_return Unit();
}

namespace {

// A request that stands for the connection, for variables and hooks.
class ConnectionRequest {
 public:
  ConnectionRequest(Connection& client, const ClientFacts& facts, Server& server)
      : arena_(Arena::open(arena_bytes)), head_(*arena_), exchange_(client), request_(*arena_, head_, exchange_, facts) {
    request_.server = &server;
    request_.enter(*server.root);
    request_.logger = facts.logger();
  }
  Request& request() { return request_; }

 private:
  static constexpr size_t arena_bytes = 2048;
  Arena::Owner arena_;
  RequestHead head_;
  NoExchange exchange_;
  Request request_;
};

// A session's identity that may be looked up: in TLS 1.3, which is spoken where both can, it means nothing (RFC 8446 section 4.1.2).
bool names_session(SSL& ssl, Flags<TlsProtocol> spoken) {
  const unsigned char* bytes = nullptr;
  if (SSL_client_hello_get0_session_id(&ssl, &bytes) == 0) return false;
  size_t count = 0;
  if (!spoken.has(TlsProtocol::tls1_3) || SSL_client_hello_get0_ext(&ssl, TLSEXT_TYPE_supported_versions, &bytes, &count) == 0) return true;
  return !offers_version({reinterpret_cast<const char*>(bytes), count}, TLS1_3_VERSION);
}

}  // namespace

Task<bool> run_tls_hooks(TlsPoint at, Request& request, TlsHandshake& handshake) {
  for (const TlsHook* hook : request.location->plan.tls) {
    if (hook->at != at) continue;
    bool good = co_await hook->run(request, handshake);
    if (!good) co_return false;
  }
  co_return true;
}

bool SecureClient::asks_about_hello() const {
  const Plan& plan = facts_.listen.hosts.default_server->root->plan;
  return plan.has_tls(TlsPoint::client_hello) || plan.has_tls(TlsPoint::session_fetch);
}

Task<bool> SecureClient::answer_hello(SSL& ssl) {
  ConnectionRequest own(*client_, facts_, *facts_.listen.hosts.default_server);
  TlsHandshake handshake(ssl);
  bool good = co_await run_tls_hooks(TlsPoint::client_hello, own.request(), handshake);
  Flags<TlsProtocol> spoken = handshake.protocols ? Flags<TlsProtocol>{handshake.protocols} : shown().conf().protocols;
  if (good && names_session(ssl, spoken)) good = co_await run_tls_hooks(TlsPoint::session_fetch, own.request(), handshake);
  protocols_ = handshake.protocols;
  found_session_ = std::move(handshake.found);
  co_return good;
}

void SecureClient::settle(SSL& ssl) {
  if (protocols_) set_protocols(ssl, Flags<TlsProtocol>{protocols_});
}

SslSessionPtr SecureClient::find_session(std::string_view) { return std::move(found_session_); }

void SecureClient::session_made(SSL& ssl, SSL_SESSION& session) {
  if (!server_->root->plan.has_tls(TlsPoint::session_store)) return;
  ConnectionRequest own(*client_, facts_, *server_);
  TlsHandshake handshake(ssl);
  handshake.made = &session;
  for (const TlsHook* hook : server_->root->plan.tls)
    if (hook->at == TlsPoint::session_store) hook->note(own.request(), handshake);
}

bool SecureClient::asks_for_certificate() const {
  return shown().has_variable_certificates() || server_->root->plan.has_tls(TlsPoint::certificate);
}

Task<bool> SecureClient::find_certificate(SSL& ssl) {
  ConnectionRequest own(*client_, facts_, *server_);
  if (shown().has_variable_certificates()) {
    auto used = co_await use_certificates(ssl, own.request());
    if (!used) own.request().logger.error("{}", used.error());
    if (!used) co_return false;
  }
  TlsHandshake handshake(ssl);
  co_return co_await run_tls_hooks(TlsPoint::certificate, own.request(), handshake);
}

Task<bool> SecureClient::open(Connection& client, RequestSink& sink) {
  const CoreConf& core = conf<CoreConf>(*server_->block);
  uint64_t deadline = client.loop().deadline(core.client_header_timeout);
  while (client.unread().empty()) {
    sink.idle(true);
    WaitStatus status = co_await client.readable(std::min(deadline, sink.idle_deadline_ms()));
    sink.idle(false);
    const size_t capacity = core.client_header_buffer_size.bytes;
    if (!goes_on_after(status, client, capacity)) co_return false;
    if (!client.unread().empty()) break;
    IoStatus got = client.fill(capacity).status;
    if (got == IoStatus::end || got == IoStatus::failed) {
      sink.broken("client closed connection", "SSL handshaking");
      co_return false;
    }
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
  ssl_ = &transport_->ssl();
  client_ = &client;
  facts_.secure = this;
  client.add_layer(std::move(made));
  auto done = co_await transport_->handshake(this, deadline);
  if (!done) {
    const Error& error = done.error();
    Logger logger = facts_.logger();
    if (!transport_->failure().empty()) logger.info("{}", transport_->failure());
    else logger.info(Errno{error.sys}, "{}", error.what);
    co_return false;
  }
  if (const TlsServer* own = server_->tls; own && own->conf().ocsp != ClientOcsp::off)
    revocation_ = co_await check_revocation(facts_.worker, conf<ResolverConf>(*server_->block), own->conf(), transport_->ssl(),
                                            facts_.logger());
  facts_.doing = {};
  facts_.is_secure = true;
  facts_.alpn = transport_->alpn();
  co_return true;
}

// Whether who was verified for one server would be for the other, too. Whether a certificate is needed is asked for each request.
static bool is_as_strict(const TlsServerConf& used, const TlsServerConf& own) {
  return used.verifies_clients() && used.client_certificate == own.client_certificate &&
         used.trusted_certificate == own.trusted_certificate && used.crl == own.crl && used.verify_depth <= own.verify_depth &&
         used.ocsp == own.ocsp && used.ocsp_responder == own.ocsp_responder;
}

static bool is_for_other_server(const Request& request, const SecureClient& secure) {
  const TlsServer* own = request.server->tls;
  if (!own || !own->conf().verifies_clients() || request.server == &secure.server()) return false;
  if (secure.is_named()) return request.head.host != secure.name();
  const TlsServer* used = secure.server().tls;
  if (!own->brings_verification()) return false;  // the handshake was with the default server, by which its clients are verified
  if (!has_peer_certificate(secure.ssl())) return false;  // nobody was let in by the rules of another
  return used != own && (!used || !is_as_strict(used->conf(), own->conf()));
}

Verdict check_secure(Request& request) {
  While doing(request, "reading client request headers");
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
  SSL& ssl = secure.ssl();
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
  if (!secure.revocation().empty()) {
    request.logger.info("client SSL certificate verify error: {}", secure.revocation());
    forget_session(ssl);
    return Verdict::status(495);
  }
  return Verdict::next();
}

}  // namespace fairlead::http
