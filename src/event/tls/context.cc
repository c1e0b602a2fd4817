// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <bit>

#include "core/base/format.h"

namespace fairlead {

ConfResult<SslContextPtr> make_context(bool server) {
  SslContextPtr context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  if (!context) return openssl_failure("SSL_CTX_new()");
  // A peer that closes without the alert is an end like any other: HTTP has its own framing.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                         SSL_OP_SINGLE_DH_USE | SSL_OP_NO_ANTI_REPLAY);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS |
                                      SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

static int version_of(uint32_t bit) {
  switch (static_cast<TlsProtocol>(bit)) {
    case TlsProtocol::sslv2:
    case TlsProtocol::sslv3: return SSL3_VERSION;
    case TlsProtocol::tls1: return TLS1_VERSION;
    case TlsProtocol::tls1_1: return TLS1_1_VERSION;
    case TlsProtocol::tls1_2: return TLS1_2_VERSION;
    case TlsProtocol::tls1_3: return TLS1_3_VERSION;
  }
  return 0;
}

namespace {
struct Versions {
  int least, most;
  uint64_t without;  // SSL_OP_NO_...: holes between them
};
Versions versions_of(Flags<TlsProtocol> protocols) {
  uint32_t bits = protocols.bits;
  Versions versions{};
  versions.least = version_of(1u << std::countr_zero(bits));
  versions.most = version_of(std::bit_floor(bits));
  if (!protocols.has(TlsProtocol::sslv3)) versions.without |= SSL_OP_NO_SSLv3;
  if (!protocols.has(TlsProtocol::tls1)) versions.without |= SSL_OP_NO_TLSv1;
  if (!protocols.has(TlsProtocol::tls1_1)) versions.without |= SSL_OP_NO_TLSv1_1;
  if (!protocols.has(TlsProtocol::tls1_2)) versions.without |= SSL_OP_NO_TLSv1_2;
  if (!protocols.has(TlsProtocol::tls1_3)) versions.without |= SSL_OP_NO_TLSv1_3;
  return versions;
}
constexpr uint64_t all_versions_off =
    SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;
}  // namespace

void set_protocols(SSL_CTX& context, Flags<TlsProtocol> protocols) {
  Versions versions = versions_of(protocols);
  SSL_CTX_clear_options(&context, all_versions_off);
  SSL_CTX_set_options(&context, versions.without);
  SSL_CTX_set_min_proto_version(&context, versions.least);
  SSL_CTX_set_max_proto_version(&context, versions.most);
}

void set_protocols(SSL& ssl, Flags<TlsProtocol> protocols) {
  Versions versions = versions_of(protocols);
  SSL_clear_options(&ssl, all_versions_off);
  SSL_set_options(&ssl, versions.without);
  SSL_set_min_proto_version(&ssl, versions.least);
  SSL_set_max_proto_version(&ssl, versions.most);
}

ConfResult<Unit> set_ciphers(SSL_CTX& context, std::string_view list, bool prefer_own) {
  if (SSL_CTX_set_cipher_list(&context, std::string(list).c_str()) == 0)
    return format("SSL_CTX_set_cipher_list(\"{}\") failed{}", list, take_openssl_errors());
  if (prefer_own) SSL_CTX_set_options(&context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  return Unit();
}

ConfResult<Unit> set_curves(SSL_CTX& context, std::string_view names) {
  if (names == "auto") return Unit();  // OpenSSL's own list
  if (SSL_CTX_set1_curves_list(&context, std::string(names).c_str()) == 0)
    return format("SSL_CTX_set1_curves_list(\"{}\") failed{}", names, take_openssl_errors());
  return Unit();
}

ConfResult<Unit> set_dh_parameters(SSL_CTX& context, std::string_view path) {
  if (path.empty()) return Unit();
  BioPtr file(BIO_new_file(std::string(path).c_str(), "r"));
  if (!file) return format("BIO_new_file(\"{}\") failed{}", path, take_openssl_errors());
  KeyPtr parameters(PEM_read_bio_Parameters(file.get(), nullptr));
  if (!parameters) return format("PEM_read_bio_DHparams(\"{}\") failed{}", path, take_openssl_errors());
  if (SSL_CTX_set0_tmp_dh_pkey(&context, parameters.get()) != 1)
    return format("SSL_CTX_set_tmp_dh(\"{}\") failed{}", path, take_openssl_errors());
  parameters.release();  // the context's now
  return Unit();
}

// SSL_CTX_use_cert_and_key and its twin of an SSL with the chain as OpenSSL wants it.
template <class Use>
static ConfResult<Unit> use_with(const KeyPair& pair, std::string_view shown, const char* call, Use use) {
  STACK_OF(X509)* chain = sk_X509_new_null();
  for (const X509Ptr& one : pair.chain) sk_X509_push(chain, one.get());
  int ok = use(pair.certificate.get(), pair.key.get(), chain);
  sk_X509_free(chain);
  if (ok != 1) return format("{}(\"{}\") failed{}", call, shown, take_openssl_errors());
  return Unit();
}

ConfResult<Unit> use_pair(SSL_CTX& context, const KeyPair& pair, std::string_view shown) {
  return use_with(pair, shown, "SSL_CTX_use_certificate", [&](X509* certificate, EVP_PKEY* key, STACK_OF(X509)* chain) {
    return SSL_CTX_use_cert_and_key(&context, certificate, key, chain, 1);
  });
}

ConfResult<Unit> use_pair(SSL& ssl, const KeyPair& pair, std::string_view shown) {
  return use_with(pair, shown, "SSL_use_certificate", [&](X509* certificate, EVP_PKEY* key, STACK_OF(X509)* chain) {
    return SSL_use_cert_and_key(&ssl, certificate, key, chain, 1);
  });
}

ConfResult<Unit> add_trusted(SSL_CTX& context, std::string_view path, bool announce) {
  if (path.empty()) return Unit();
  auto certificates = load_certificates(path);
  if (!certificates) return std::move(certificates.error());
  X509_STORE* store = SSL_CTX_get_cert_store(&context);
  for (X509Ptr& one : *certificates) {
    if (X509_STORE_add_cert(store, one.get()) != 1) return format("X509_STORE_add_cert(\"{}\") failed{}", path, take_openssl_errors());
    if (announce && SSL_CTX_add_client_CA(&context, one.get()) != 1) return openssl_failure("SSL_CTX_add_client_CA()");
  }
  return Unit();
}

ConfResult<Unit> add_crls(SSL_CTX& context, std::string_view path) {
  if (path.empty()) return Unit();
  auto lists = load_crls(path);
  if (!lists) return std::move(lists.error());
  X509_STORE* store = SSL_CTX_get_cert_store(&context);
  for (X509CrlPtr& one : *lists)
    if (X509_STORE_add_crl(store, one.get()) != 1) return format("X509_STORE_add_crl(\"{}\") failed{}", path, take_openssl_errors());
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return Unit();
}

ConfResult<Unit> run_commands(SSL_CTX& context, std::span<const TlsCommand> commands, bool server) {
  if (commands.empty()) return Unit();
  SSL_CONF_CTX* line = SSL_CONF_CTX_new();
  SSL_CONF_CTX_set_flags(line, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS |
                                   (server ? SSL_CONF_FLAG_SERVER : SSL_CONF_FLAG_CLIENT));
  SSL_CONF_CTX_set_ssl_ctx(line, &context);
  std::string reason;
  for (const TlsCommand& command : commands) {
    std::string name(command.name), value(command.value);
    if (SSL_CONF_cmd(line, name.c_str(), value.c_str()) > 0) continue;
    reason = format("SSL_CONF_cmd(\"{}\", \"{}\") failed{}", name, value, take_openssl_errors());
    break;
  }
  if (reason.empty() && SSL_CONF_CTX_finish(line) != 1) reason = openssl_failure("SSL_CONF_finish()");
  SSL_CONF_CTX_free(line);
  if (!reason.empty()) return reason;
  return Unit();
}

static int key_log_index() {
  static int made = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return made;
}

static void write_key_log(const SSL* ssl, const char* line) {
  auto* sink = static_cast<LogSink*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), key_log_index()));
  sink->write(LogLevel::info, format("{}\n", line));
}

void log_keys(SSL_CTX& context, LogSink* sink) {
  if (!sink) return;
  SSL_CTX_set_ex_data(&context, key_log_index(), sink);
  SSL_CTX_set_keylog_callback(&context, &write_key_log);
}

}  // namespace fairlead
