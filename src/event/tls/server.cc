// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/server.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/process/small_file.h"
#include "event/tls/client_hello.h"
#include "event/tls/peer.h"

namespace fairlead {

// Most early data of a connection (RFC 8446 section 8: it may be replayed).
static constexpr uint32_t early_data_bytes_max = 16384;

namespace {

TlsAccept* accept_of(SSL* ssl) { return static_cast<TlsAccept*>(TlsTransport::of(ssl).owner); }

// Before anything else of the hello counts: which server it is for. So versions, certificates and sessions are that server's from the
// start.
int on_client_hello(SSL* ssl, int* alert, void*) {
  TlsAccept& accept = *accept_of(ssl);
  TlsTransport& tls = TlsTransport::of(ssl);
  if (tls.is_refused) {
    *alert = SSL_AD_INTERNAL_ERROR;  // as for a certificate that is refused
    return SSL_CLIENT_HELLO_ERROR;
  }
  const unsigned char* bytes = nullptr;
  size_t count = 0;
  char room[server_name_bytes_max];
  std::string_view name;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &count) == 1) {
    auto sent = server_name_of({reinterpret_cast<const char*>(bytes), count});
    if (sent) name = normalised_name(*sent, room);
  }
  const TlsServer* server = accept.choose(name);
  if (accept.asks_about_hello() && !tls.hello_is_answered) {
    tls.question = TlsTransport::Question::hello;
    return SSL_CLIENT_HELLO_RETRY;
  }
  if (!server || server->conf().reject_handshake) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    tls.is_rejected = true;
    return SSL_CLIENT_HELLO_ERROR;
  }
  server->take_over(*ssl);
  accept.settle(*ssl);
  return SSL_CLIENT_HELLO_SUCCESS;
}

// RFC 7301 section 3.2: no protocol in common is fatal.
// The end of the callback's arguments.
struct Offer {
  Offer(const unsigned char* protocols, unsigned bytes, void*) : begin(protocols), size(bytes) {}
  const unsigned char* begin;
  unsigned size;
};
int choose_protocol(std::string_view own, Offer offered, const unsigned char** chosen, unsigned char* chosen_bytes) {
  if (own.empty()) return SSL_TLSEXT_ERR_NOACK;
  unsigned char* found = nullptr;
  int result = SSL_select_next_proto(&found, chosen_bytes, reinterpret_cast<const unsigned char*>(own.data()),
                                     static_cast<unsigned>(own.size()), offered.begin, offered.size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}
template <class... Offered>
int on_alpn(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_bytes, Offered... offered) {
  return choose_protocol(accept_of(ssl)->protocols(), Offer(offered...), chosen, chosen_bytes);
}

// Nobody acknowledges the name otherwise.
int on_server_name(SSL* ssl, int*, void*) {
  return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

// The handshake goes on whatever the result is: requests are answered with 495 and a reason that people can read.
int keep_verify_result(int, X509_STORE_CTX*) { return 1; }

int verify_mode(VerifyClient verify) { return verify == VerifyClient::off ? SSL_VERIFY_NONE : SSL_VERIFY_PEER; }

SslSessionPtr find_session(SSL& ssl, std::string_view id) { return accept_of(&ssl)->find_session(id); }
// Behind the handshake, too: by then whoever accepted may be gone.
void note_session(SSL& ssl, SSL_SESSION& session) {
  if (TlsAccept* accept = accept_of(&ssl)) accept->session_made(ssl, session);
}

int on_certificate_wanted(SSL* ssl, void*) {
  TlsTransport& tls = TlsTransport::of(ssl);
  if (tls.is_refused) return 0;
  if (tls.certificate_is_answered || !accept_of(ssl)->asks_for_certificate()) return 1;
  tls.question = TlsTransport::Question::certificate;
  return -1;
}

}  // namespace

// The identity of a context's sessions, kept with it for connections that have another context: OpenSSL takes it but does not tell it.
static int identity_index() {
  static int made = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, [](void*, void* kept, CRYPTO_EX_DATA*, int, long, void*) {
    delete static_cast<std::string*>(kept);
  });
  return made;
}

// Nothing of another server may be resumed where clients are verified: sessions carry the result of the verification.
static void set_session_identity(SSL_CTX& context, const TlsServerConf& conf) {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  EVP_DigestInit_ex(digest, EVP_sha256(), nullptr);
  auto add = [&](std::string_view text) { EVP_DigestUpdate(digest, text.data(), text.size()); EVP_DigestUpdate(digest, "", 1); };
  for (const Template& certificate : conf.certificates) add(certificate.is_literal() ? certificate.literal() : certificate.source());
  if (conf.verifies_clients()) {
    for (std::string_view path : {conf.client_certificate, conf.trusted_certificate, conf.crl})  // as they are now: see hot.h
      add(read_small_file(std::string(path)).value_or(std::string(path)));
    add(format("{} {}", static_cast<int>(conf.verify_client), conf.verify_depth));
  }
  unsigned char identity[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  EVP_DigestFinal_ex(digest, identity, &bytes);
  EVP_MD_CTX_free(digest);
  bytes = std::min<unsigned>(bytes, SSL_MAX_SID_CTX_LENGTH);
  SSL_CTX_set_session_id_context(&context, identity, bytes);
  SSL_CTX_set_ex_data(&context, identity_index(), new std::string(reinterpret_cast<const char*>(identity), bytes));
}

// The answer of a file is for whatever certificate is shown.
static constexpr char any_certificate[] = "";

int TlsServer::on_status_wanted(SSL* ssl, void* server) {
  const unsigned char* chosen = nullptr;
  if (SSL_get_tlsext_status_ocsp_resp(ssl, &chosen) > 0) return SSL_TLSEXT_ERR_OK;  // set for this handshake alone
  const TlsServer& self = *static_cast<const TlsServer*>(server);
  X509* certificate = SSL_get_certificate(ssl);
  auto found = self.staples_.find(any_certificate);
  if (found == self.staples_.end() && certificate) found = self.staples_.find(fingerprint_text(*certificate));
  if (found == self.staples_.end() || found->second.valid_until <= time(nullptr)) return SSL_TLSEXT_ERR_NOACK;
  const std::string& response = found->second.response;
  void* copy = OPENSSL_memdup(response.data(), response.size());
  if (!copy) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, static_cast<unsigned char*>(copy), static_cast<long>(response.size()));
  return SSL_TLSEXT_ERR_OK;
}

void TlsServer::staple(X509& certificate, std::string response, int64_t valid_until) const {
  staples_[fingerprint_text(certificate)] = {std::move(response), valid_until};
}

void TlsServer::set_stapling(SSL_CTX& context) const {
  SSL_CTX_set_tlsext_status_cb(&context, &TlsServer::on_status_wanted);
  SSL_CTX_set_tlsext_status_arg(&context, const_cast<TlsServer*>(this));
}

ConfResult<Unit> TlsServer::set_verification(SSL_CTX& context) const {
  if (conf_.verifies_clients()) {
    bool needs_authorities = conf_.verify_client != VerifyClient::optional_no_ca && !only_verifies();
    if (needs_authorities && !conf_.has_authorities())
      return std::string("no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client");
    SSL_CTX_set_verify(&context, verify_mode(conf_.verify_client), &keep_verify_result);
    SSL_CTX_set_verify_depth(&context, chain_depth(conf_.verify_depth));
    FL_TRY(add_trusted(context, conf_.client_certificate, true));
  }
  FL_TRY(add_trusted(context, conf_.trusted_certificate, false));
  FL_TRY(add_crls(context, conf_.crl));
  return Unit();
}

ConfResult<SslContextPtr> TlsServer::build() const {
  auto made = make_context(true);
  if (!made) return std::move(made.error());
  SSL_CTX& context = **made;
  if (only_verifies()) {
    FL_TRY(set_verification(context));
    set_session_identity(context, conf_);
    return made;
  }
  set_protocols(context, conf_.protocols);
  SSL_CTX_set_cert_cb(&context, &on_certificate_wanted, nullptr);
  if (!has_variables_) {
    for (size_t i = 0; i < conf_.certificates.size(); ++i) {
      std::string_view source = conf_.certificates[i].literal();
      auto pair = load_pair(source, conf_.keys[i].literal(), conf_.passwords);
      if (!pair) return std::move(pair.error());
      FL_TRY(use_pair(context, *pair, source));
    }
  }
  FL_TRY(set_ciphers(context, conf_.ciphers, conf_.prefer_server_ciphers));
  FL_TRY(set_verification(context));
  FL_TRY(set_dh_parameters(context, conf_.dh_parameters));
  FL_TRY(set_curves(context, conf_.curves));
  set_session_identity(context, conf_);
  static constexpr TlsSessions::Listener told = {&find_session, &note_session};
  sessions_->install(context, told);
  set_stapling(context);
  if (conf_.early_data) SSL_CTX_set_max_early_data(&context, early_data_bytes_max);
  SSL_CTX_set_client_hello_cb(&context, &on_client_hello, nullptr);
  SSL_CTX_set_tlsext_servername_callback(&context, &on_server_name);
  SSL_CTX_set_alpn_select_cb(&context, &on_alpn<const unsigned char*, unsigned, void*>, nullptr);
  log_keys(context, conf_.key_log);
  FL_TRY(run_commands(context, conf_.commands, true));
  return made;
}

ConfResult<Unit> TlsServer::load_staple() {
  constexpr size_t staple_bytes_max = 100 * 1024;
  auto text = read_small_file(std::string(conf_.stapling_file), staple_bytes_max);
  if (!text) return format("open() \"{}\" failed ({}: {})", conf_.stapling_file, errno, strerror(errno));
  const auto* bytes = reinterpret_cast<const unsigned char*>(text->data());
  OCSP_RESPONSE* parsed = d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(text->size()));
  if (!parsed) return openssl_failure(format("d2i_OCSP_RESPONSE_bio(\"{}\")", conf_.stapling_file));
  OCSP_RESPONSE_free(parsed);
  staples_[any_certificate] = {std::move(*text), INT64_MAX};
  return Unit();
}

ConfResult<Unit> TlsServer::prepare_handshakes() {
  for (size_t i = 0; i < conf_.certificates.size(); ++i)
    if (!conf_.certificates[i].is_literal() || !conf_.keys[i].is_literal()) has_variables_ = true;
  std::vector<TicketKey> keys;
  for (const TicketKeyFile& file : conf_.ticket_keys) {
    auto key = load_ticket_key(file.path);
    if (!key) return key.error() + at_place(file.place);
    keys.push_back(*key);
  }
  SessionSettings settings{conf_.session_cache, conf_.session_tickets, conf_.session_timeout};
  sessions_ = std::make_unique<TlsSessions>(settings, std::move(keys));
  if (conf_.stapling && !conf_.stapling_file.empty()) FL_TRY(load_staple());
  return Unit();
}

ConfResult<std::unique_ptr<TlsServer>> TlsServer::make(const TlsServerConf& conf) {
  std::unique_ptr<TlsServer> server(new TlsServer(conf));
  if (!server->only_verifies()) FL_TRY(server->prepare_handshakes());
  server->marks = marks_of(server->sources());
  auto context = server->build();
  if (!context) return std::move(context.error());
  server->context_ = std::move(*context);
  return server;
}

std::vector<std::string> TlsServer::sources() const {
  std::vector<std::string> paths;
  if (!has_variables_) {
    for (size_t i = 0; i < conf_.certificates.size(); ++i) {
      add_path(paths, conf_.certificates[i].literal());
      add_path(paths, conf_.keys[i].literal());
    }
  }
  add_path(paths, conf_.client_certificate);
  add_path(paths, conf_.trusted_certificate);
  add_path(paths, conf_.crl);
  return paths;
}

// Tickets without keys of ours: those that OpenSSL made for the first context stay good.
void TlsServer::swap(SslContextPtr context) {
  unsigned char keys[128];
  long bytes = SSL_CTX_get_tlsext_ticket_keys(context_.get(), nullptr, 0);
  if (bytes > 0 && static_cast<size_t>(bytes) <= sizeof keys && SSL_CTX_get_tlsext_ticket_keys(context_.get(), keys, bytes) == 1)
    SSL_CTX_set_tlsext_ticket_keys(context.get(), keys, bytes);
  OPENSSL_cleanse(keys, sizeof keys);
  context_ = std::move(context);
}

SslPtr TlsServer::accept() const {
  SslPtr ssl(SSL_new(context_.get()));
  if (!ssl) return nullptr;
  SSL_set_accept_state(ssl.get());
  sessions_->attach(*ssl);
  return ssl;
}

void TlsServer::take_over_verification(SSL& ssl) const {
  if (!brings_verification()) return;
  SSL_CTX* own = context_.get();
  SSL_set_verify(&ssl, verify_mode(conf_.verify_client), &keep_verify_result);
  SSL_set_verify_depth(&ssl, chain_depth(conf_.verify_depth));
  SSL_set1_verify_cert_store(&ssl, SSL_CTX_get_cert_store(own));
  SSL_set_client_CA_list(&ssl, SSL_dup_CA_list(SSL_CTX_get_client_CA_list(own)));
  const auto& identity = *static_cast<const std::string*>(SSL_CTX_get_ex_data(own, identity_index()));
  SSL_set_session_id_context(&ssl, reinterpret_cast<const unsigned char*>(identity.data()), static_cast<unsigned>(identity.size()));
}

// The groups of a server's context, which OpenSSL does not tell; empty: its own choice.
static std::string_view groups_of(const TlsServerConf& conf) {
  std::string_view groups = conf.curves == "auto" ? std::string_view() : conf.curves;
  for (const TlsCommand& command : conf.commands)
    if (equal_nocase(command.name, "Groups") || equal_nocase(command.name, "Curves")) groups = command.value;
  return groups;
}

// Versions are read from the context: ssl_conf_command may have bounded them further.
void TlsServer::take_over(SSL& ssl) const {
  if (only_verifies()) return take_over_verification(ssl);
  SSL_CTX* own = context_.get();
  if (SSL_get_SSL_CTX(&ssl) == own) return;
  SSL_set_SSL_CTX(&ssl, own);
  SSL_set_verify(&ssl, SSL_CTX_get_verify_mode(own), SSL_CTX_get_verify_callback(own));
  SSL_set_verify_depth(&ssl, SSL_CTX_get_verify_depth(own));
  SSL_clear_options(&ssl, SSL_get_options(&ssl) & ~SSL_CTX_get_options(own));
  SSL_set_options(&ssl, SSL_CTX_get_options(own));
  SSL_set_min_proto_version(&ssl, SSL_CTX_get_min_proto_version(own));
  SSL_set_max_proto_version(&ssl, SSL_CTX_get_max_proto_version(own));
  SSL_set_num_tickets(&ssl, SSL_CTX_get_num_tickets(own));
  SSL_set_max_early_data(&ssl, conf_.early_data ? early_data_bytes_max : 0);
  std::string groups(groups_of(conf_));
  if (!groups.empty()) SSL_set1_groups_list(&ssl, groups.c_str());
}

Task<ConfResult<Unit>> TlsServer::use_certificate(SSL& ssl, BlockingPool& files, std::string certificate, std::string key) const {
  auto pair = co_await cache_.get(files, certificate, key, conf_.passwords);
  if (!pair) co_return std::move(pair.error());
  co_return use_pair(ssl, **pair, certificate);
}

std::unique_ptr<TlsTransport> make_server_transport(Transport& below, const TlsServer& server, TlsAccept& accept, Slice received) {
  SslPtr ssl = server.accept();
  if (!ssl) return nullptr;
  auto transport = std::make_unique<TlsTransport>(below, std::move(ssl), server.conf().buffer_size.bytes, std::move(received));
  transport->owner = &accept;
  if (server.conf().early_data) transport->take_early_data();
  return transport;
}

}  // namespace fairlead
