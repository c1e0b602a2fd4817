// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The parts of an SSL_CTX that servers and clients have in common, each a plain function over values of the configuration. Reasons are
// nginx's. Which values, and who owns the context, is in server.h and client.h.
#pragma once

#include <algorithm>
#include <climits>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/conf/value.h"
#include "event/tls/openssl.h"
#include "event/tls/pem.h"

namespace fairlead {

enum class TlsProtocol : uint32_t { sslv2 = 1, sslv3 = 2, tls1 = 4, tls1_1 = 8, tls1_2 = 16, tls1_3 = 32 };
constexpr uint32_t tls_protocols_default = static_cast<uint32_t>(TlsProtocol::tls1_2) | static_cast<uint32_t>(TlsProtocol::tls1_3);

// A line of ssl_conf_command.
struct TlsCommand {
  std::string_view name, value;
};

// A fresh context with what every one of ours has: no compression, no renegotiation, buffers released while idle, our modes of writing.
ConfResult<SslContextPtr> make_context(bool server);
void set_protocols(SSL_CTX& context, Flags<TlsProtocol> protocols);
// The same bounds for one connection, once its server is known.
void set_protocols(SSL& ssl, Flags<TlsProtocol> protocols);
ConfResult<Unit> set_ciphers(SSL_CTX& context, std::string_view list, bool prefer_own);
ConfResult<Unit> set_curves(SSL_CTX& context, std::string_view names);
ConfResult<Unit> set_dh_parameters(SSL_CTX& context, std::string_view path);
// Behind what is there already: certificates of several kinds of keys.
ConfResult<Unit> use_pair(SSL_CTX& context, const KeyPair& pair, std::string_view shown);
ConfResult<Unit> use_pair(SSL& ssl, const KeyPair& pair, std::string_view shown);
// A verify_depth as OpenSSL takes it, which has no longer chains.
inline int chain_depth(uint64_t depth) { return static_cast<int>(std::min<uint64_t>(depth, INT_MAX)); }
// Trusted authorities; with `announce` their names are sent to clients in the request for a certificate.
ConfResult<Unit> add_trusted(SSL_CTX& context, std::string_view path, bool announce);
ConfResult<Unit> add_crls(SSL_CTX& context, std::string_view path);
// Calls `each(X509&)` for the certificates that a context presents; its chain is the context's current one meanwhile.
template <class Each>
void for_each_certificate(SSL_CTX* context, Each each) {
  for (long more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_FIRST); more == 1;
       more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_NEXT))
    if (X509* certificate = SSL_CTX_get0_certificate(context)) each(*certificate);
}
ConfResult<Unit> run_commands(SSL_CTX& context, std::span<const TlsCommand> commands, bool server);
// The secrets of its handshakes go to `sink`, which outlives it (the SSLKEYLOGFILE format); nullptr: they stay secret.
void log_keys(SSL_CTX& context, LogSink* sink);

}  // namespace fairlead

namespace fairlead {
template <>
struct EnumWords<TlsProtocol> {
  static constexpr EnumWord<TlsProtocol> all[] = {{"SSLv2", TlsProtocol::sslv2},     {"SSLv3", TlsProtocol::sslv3},
                                                  {"TLSv1", TlsProtocol::tls1},      {"TLSv1.1", TlsProtocol::tls1_1},
                                                  {"TLSv1.2", TlsProtocol::tls1_2},  {"TLSv1.3", TlsProtocol::tls1_3}};
};
template <>
struct ConfValue<std::vector<TlsCommand>> {
  static constexpr WordCount words{2, 2};
  static constexpr std::string_view type = "name value";
  static constexpr bool repeatable = true;
  static ConfResult<Unit> parse(Line& line, std::vector<TlsCommand>& field) {
    field.push_back({line.word(1), line.word(2)});
    return Unit();
  }
};
}  // namespace fairlead
