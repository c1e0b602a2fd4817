// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/client.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <cerrno>

#include "core/base/format.h"
#include "core/base/text.h"
#include "event/loop/child.h"
#include "event/tls/conf_source.h"
#include "event/tls/handshake.h"
#include "event/tls/peer.h"

namespace fairlead {

namespace {

bool has_variables(const Template& text) { return text.is_set() && !text.is_literal(); }
bool is_given(const Template& text) { return text.is_set() && !text.is_empty_literal(); }

// The host of "host:port", "[::1]:port" or a host alone, which may be an address of IPv6 without brackets.
std::string_view host_of(std::string_view text) {
  if (text.starts_with('[')) return text.substr(1, text.find(']') == std::string_view::npos ? text.size() : text.find(']') - 1);
  size_t colon = text.find(':');
  bool is_bare_v6 = colon != text.rfind(':');
  return is_bare_v6 ? text : text.substr(0, colon);
}

// `list`: each behind its length.
bool holds_protocol(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    size_t bytes = static_cast<unsigned char>(list[0]);
    if (list.substr(1, bytes) == wanted) return true;
    list.remove_prefix(std::min(list.size(), bytes + 1));
  }
  return false;
}

int keep_verify_result(int, X509_STORE_CTX*) { return 1; }

int on_certificate_wanted(SSL* ssl, void*) {
  TlsTransport& tls = TlsTransport::of(ssl);
  if (tls.is_refused) return 0;
  if (tls.certificate_is_answered) return 1;
  tls.question = TlsTransport::Question::certificate;
  return -1;
}

}  // namespace

ConfResult<SslContextPtr> TlsClient::build() const {
  auto made = make_context(false);
  if (!made) return std::move(made.error());
  SSL_CTX& context = **made;
  set_protocols(context, conf_.protocols);
  bool is_fixed = !has_variables(conf_.certificate) && !has_variables(conf_.key);
  if (is_given(conf_.certificate) && !is_given(conf_.key))
    return format("no \"{}_certificate_key\" is defined for certificate \"{}\"", prefix_, conf_.certificate.literal());
  if (is_given(conf_.certificate) && is_fixed) {
    auto pair = load_pair(conf_.certificate.literal(), conf_.key.literal(), conf_.passwords);
    if (!pair) return std::move(pair.error());
    FL_TRY(use_pair(context, *pair, conf_.certificate.literal()));
  }
  FL_TRY(set_ciphers(context, conf_.ciphers, false));
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER, &keep_verify_result);
  SSL_CTX_set_verify_depth(&context, chain_depth(conf_.verify_depth));
  FL_TRY(add_authorities(context));
  SSL_CTX_set_session_cache_mode(&context, conf_.session_reuse ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
  if (conf_.session_reuse) SSL_CTX_sess_set_new_cb(&context, &TlsClient::keep_session);
  log_keys(context, conf_.key_log);
  FL_TRY(run_commands(context, conf_.commands, false));
  return made;
}

ConfResult<Unit> TlsClient::add_authorities(SSL_CTX& context) const {
  // A name proves nothing in a certificate that anybody may have signed.
  if (!conf_.sans.empty() && !conf_.verify) return format("\"{0}_verify_san\" needs \"{0}_verify on\"", prefix_);
  if (conf_.verify && conf_.trusted_certificate.empty()) {
    if (!conf_.trusts_system) return format("no {0}_trusted_certificate for {0}_verify", prefix_);
    if (!SSL_CTX_set_default_verify_paths(&context)) return openssl_failure("SSL_CTX_set_default_verify_paths()");
  }
  auto added = add_trusted(context, conf_.trusted_certificate, false);
  if (added) added = add_crls(context, conf_.crl);
  // Nothing rests on them: an nginx.conf may name files that are not there.
  if (!added && !conf_.verify && !conf_.is_verified_on_request) return Unit();
  return added;
}

ConfResult<std::unique_ptr<TlsClient>> TlsClient::make(const TlsClientConf& conf, std::string_view prefix, uint64_t number) {
  std::unique_ptr<TlsClient> client(new TlsClient(conf, prefix, number));
  client->marks = marks_of(client->sources());
  auto context = client->build();
  if (!context) return std::move(context.error());
  client->context_ = std::move(*context);
  return client;
}

std::vector<std::string> TlsClient::sources() const {
  std::vector<std::string> paths;
  if (conf_.certificate.is_literal()) add_path(paths, conf_.certificate.literal());
  if (conf_.key.is_literal()) add_path(paths, conf_.key.literal());
  add_path(paths, conf_.trusted_certificate);
  add_path(paths, conf_.crl);
  return paths;
}

// Connections and sessions were made with what the old one trusted: neither is used for new requests.
void TlsClient::swap(SslContextPtr context) {
  context_ = std::move(context);
  ++version_;
  sessions_.clear();
}

ConfResult<TlsClient*> TlsClients::of(Generation& generation, const Block& block, const TlsClientConf& conf, std::string_view prefix) {
  std::unique_ptr<TlsClient>& place = all_[conf.identity()];
  if (!place) {
    auto made = TlsClient::make(conf, prefix, all_.size());
    if (!made) return std::move(made.error());
    place = std::move(*made);
    note_certificates(generation, *place);
  }
  keep_hot(generation, block, *place);
  return place.get();
}

TlsTarget* TlsTarget::copy_to(Arena& to) const {
  TlsTarget* copy = to.make<TlsTarget>(*this);
  for (std::string_view* text : {&copy->name, &copy->server_name, &copy->certificate, &copy->key, &copy->protocols, &copy->identity,
                                 &copy->sessions_key})
    *text = to.copy(*text);
  auto names = to.make_array<std::string_view>(sans.size());
  for (size_t i = 0; i < names.size(); ++i) names[i] = to.copy(sans[i]);
  copy->sans = names;
  copy->arena = &to;
  copy->questions = nullptr;
  return copy;
}

TlsTarget* TlsClient::new_target(Arena& arena, std::string_view name, std::string_view protocols) {
  TlsTarget* target = arena.make<TlsTarget>();
  target->client = this;
  target->arena = &arena;
  target->protocols = protocols;
  target->name = host_of(name);
  if (conf_.server_name && !target->name.empty() && !is_address_text(target->name)) target->server_name = target->name;
  return target;
}

void TlsClient::identify(TlsTarget& target) const {
  Arena& arena = *target.arena;
  std::string_view own = arena.copy(format("tls {}.{}", number_, version_));
  target.identity = arena.join({own, "|", target.name, "|", target.server_name.empty() ? "" : "sni", "|", target.certificate, "|",
                                target.key, "|", target.protocols});
  for (std::string_view san : target.sans) target.identity = arena.join({target.identity, "|", san});
}

TlsTarget* TlsClient::target(Session& session, std::string_view host, std::string_view protocols) {
  Arena& arena = session.arena();
  TlsTarget* target = new_target(arena, conf_.name.is_set() ? conf_.name.evaluate(session) : host, protocols);
  if (has_variables(conf_.certificate) || has_variables(conf_.key)) {
    target->certificate = conf_.certificate.evaluate(session);
    target->key = conf_.key.evaluate(session);
  }
  if (!conf_.sans.empty()) {
    auto sans = arena.make_array<std::string_view>(conf_.sans.size());
    for (size_t i = 0; i < sans.size(); ++i) sans[i] = conf_.sans[i].name.evaluate(session);
    target->sans = sans;
  }
  identify(*target);
  return target;
}

TlsTarget* TlsClient::target(Arena& arena, std::string_view host, std::string_view protocols) {
  FL_ASSERT(!conf_.has_variables());
  TlsTarget* target = new_target(arena, conf_.name.is_set() ? conf_.name.literal() : host, protocols);
  if (!conf_.sans.empty()) {
    auto sans = arena.make_array<std::string_view>(conf_.sans.size());
    for (size_t i = 0; i < sans.size(); ++i) sans[i] = conf_.sans[i].name.literal();
    target->sans = sans;
  }
  identify(*target);
  return target;
}

Task<ConfResult<SslPtr>> TlsClient::open(const TlsTarget& target) {
  SslPtr ssl(SSL_new(context_.get()));
  if (!ssl) co_return openssl_failure("SSL_new()");
  SSL_set_connect_state(ssl.get());
  if (!target.server_name.empty() && !SSL_set_tlsext_host_name(ssl.get(), std::string(target.server_name).c_str()))
    co_return openssl_failure("SSL_set_tlsext_host_name()");
  const auto* wire = reinterpret_cast<const unsigned char*>(target.protocols.data());
  if (!target.protocols.empty()) SSL_set_alpn_protos(ssl.get(), wire, static_cast<unsigned>(target.protocols.size()));
  if (!target.certificate.empty()) {
    auto pair = co_await cache_.get(*target.files, target.certificate, target.key, conf_.passwords);
    if (!pair) co_return std::move(pair.error());
    auto used = use_pair(*ssl, **pair, target.certificate);
    if (!used) co_return std::move(used.error());
  }
  if (target.questions && target.questions->asks_for_certificate()) SSL_set_cert_cb(ssl.get(), &on_certificate_wanted, nullptr);
  auto kept = sessions_.find(std::string(target.sessions_key));
  if (kept != sessions_.end()) SSL_set_session(ssl.get(), kept->second.get());
  co_return std::move(ssl);
}

// OpenSSL gives its reference away if 1 is returned.
int TlsClient::keep_session(SSL* ssl, SSL_SESSION* session) {
  TlsTransport& tls = TlsTransport::of(ssl);
  auto* client = static_cast<TlsClient*>(tls.owner);
  if (!client || tls.label.empty()) return 0;
  bool is_full = client->sessions_.size() >= sessions_max && !client->sessions_.contains(tls.label);
  if (is_full) client->sessions_.erase(client->sessions_.begin());
  client->sessions_[tls.label] = SslSessionPtr(session);
  return 1;
}

bool TlsClient::has_wanted_name(X509& certificate, const TlsTarget& target) const {
  if (conf_.sans.empty()) return has_name(certificate, target.name);
  std::vector<std::string> uris = alternative_names(certificate, AlternativeName::uri);
  for (size_t i = 0; i < target.sans.size(); ++i) {
    std::string_view wanted = target.sans[i];
    if (wanted.empty()) continue;
    if (!conf_.sans[i].is_uri) {
      if (X509_check_host(&certificate, wanted.data(), wanted.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1) return true;
      continue;
    }
    bool is_prefix = wanted.ends_with("/*");
    if (is_prefix) wanted.remove_suffix(1);
    for (const std::string& uri : uris)
      if (is_prefix ? uri.size() > wanted.size() && uri.starts_with(wanted) : uri == wanted) return true;
  }
  return false;
}

Result<Unit> TlsClient::verify(const TlsTransport& tls, const TlsTarget& target, const VerifyResult& result) const {
  auto refuse = [&](const std::string& reason) { return Error{Fault::denied, Side::upstream, 0, target.arena->copy_z(reason)}; };
  SSL& ssl = tls.ssl();
  if (conf_.verify && !result.is_good()) {
    return refuse(format("upstream SSL certificate verify error: ({}:{})", result.code, result.text()));
  }
  if (conf_.verify) {
    X509* certificate = SSL_get0_peer_certificate(&ssl);
    if (!certificate) return refuse("upstream sent no SSL certificate");
    bool is_named = has_wanted_name(*certificate, target);
    if (!is_named && conf_.sans.empty()) return refuse(format("upstream SSL certificate does not match \"{}\"", target.name));
    if (!is_named) return refuse("upstream SSL certificate has none of the wanted alternative names");
  }
  bool has_chosen = holds_protocol(target.protocols, tls.alpn());
  if (target.must_choose && !has_chosen) return refuse("upstream chose none of the protocols that were offered by ALPN");
  return Unit();
}

// Hooks may have a result of their own for the chain; a bad one then holds whatever the configuration wants verified.
Task<Result<Unit>> TlsClient::verify_asking(TlsTransport& tls, const TlsTarget& target, uint64_t deadline_ms) const {
  SSL& ssl = tls.ssl();
  if (!target.questions) co_return verify(tls, target, verify_result(ssl));
  TlsHandshake handshake(ssl);
  handshake.verify_result = SSL_get_verify_result(&ssl);
  Deadline<bool> asked(tls.watch().loop(), target.questions->verify(handshake), deadline_ms);
  std::optional<bool> good = co_await asked;
  if (!good) co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
  if (!*good) co_return Error{Fault::denied, Side::upstream, 0, "upstream SSL certificate was refused"};
  VerifyResult result = verify_result(ssl);
  if (handshake.overrules) result.code = handshake.verify_result;
  if (handshake.overrules && !result.is_good()) {
    std::string reason = format("upstream SSL certificate verify error: ({}:{})", result.code, result.text());
    co_return Error{Fault::denied, Side::upstream, 0, target.arena->copy_z(reason)};
  }
  co_return verify(tls, target, result);
}

Task<Result<Unit>> TlsClient::handshake(Connection& connection, TlsTarget& target, uint64_t deadline_ms) {
  target.is_handshaking = true;
  auto ssl = co_await open(target);
  if (!ssl) co_return Error{Fault::unavailable, Side::local, 0, target.arena->copy_z(ssl.error())};
  constexpr size_t record_bytes = 16384;
  auto made = std::make_unique<TlsTransport>(connection.transport(), std::move(*ssl), record_bytes);
  TlsTransport& tls = *made;
  tls.owner = this;
  if (conf_.session_reuse) tls.label = target.sessions_key;
  connection.add_layer(std::move(made));
  auto done = co_await tls.handshake(target.questions, deadline_ms);
  if (!done) {
    Error error = done.error();
    sessions_.erase(std::string(target.sessions_key));
    if (error.fault == Fault::malformed) error.fault = Fault::denied;  // no reply was malformed: there was no connection
    if (!tls.failure().empty()) error.what = target.arena->copy_z(tls.failure());
    else if (error.fault == Fault::timeout) error.what = "upstream timed out";
    co_return error;
  }
  auto verified = co_await verify_asking(tls, target, deadline_ms);
  if (!verified) {
    sessions_.erase(std::string(target.sessions_key));
    co_return verified.error();
  }
  target.is_handshaking = false;
  co_return Unit();
}

}  // namespace fairlead
