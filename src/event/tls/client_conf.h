// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TlsClientConf: the values of proxy_ssl_* (grpc_ssl_*, ...) and their rows as a bundle stamped with a prefix. What is made of them is in
// client.h.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "event/tls/context.h"
#include "event/tls/pair_cache.h"

namespace fairlead {

// A subject alternative name that a peer may have: "dns:NAME", "uri:ID", or "uri:PREFIX/*".
struct TlsSan {
  bool is_uri = false;
  Template name;
};

struct TlsClientConf {
  Template certificate, key;
  std::vector<std::string_view> passwords;
  PairCacheLimits certificate_cache;
  Flags<TlsProtocol> protocols{tls_protocols_default};
  std::string_view ciphers = "DEFAULT";
  Template name;                  // not set: the host of the URL
  bool server_name = false;       // send it (SNI)
  bool verify = false;
  bool is_verified_on_request = false;  // each connection says whether to verify
  uint64_t verify_depth = 1;
  std::vector<TlsSan> sans;       // with `verify`: in place of the name, one must match
  std::string_view trusted_certificate, crl;
  bool trusts_system = false;     // without trusted_certificate: whom the system trusts
  bool session_reuse = true;
  std::vector<TlsCommand> commands;
  LogSink* key_log = nullptr;

  // Everything that makes two of them interchangeable, as text.
  std::string identity() const;
  // Some value depends on a request.
  bool has_variables() const;
};

// The defaults towards a service of the operator's own (policies, collectors): verified, by the system's authorities unless others are
// named, and told its name.
struct TlsServiceConf : TlsClientConf {
  TlsServiceConf() {
    server_name = true;
    verify = true;
    trusts_system = true;
  }
};

ConfResult<Unit> set_tls_client_certificate(Line& line, TlsClientConf& conf);
ConfResult<Unit> set_tls_client_key(Line& line, TlsClientConf& conf);
ConfResult<Unit> read_tls_client_passwords(Line& line, TlsClientConf& conf);
ConfResult<Unit> set_tls_client_trusted(Line& line, TlsClientConf& conf);
ConfResult<Unit> set_tls_client_crl(Line& line, TlsClientConf& conf);
ConfResult<Unit> set_tls_client_sans(Line& line, TlsClientConf& conf);
ConfResult<Unit> set_tls_client_key_log(Line& line, TlsClientConf& conf);

// `Conf` derives from TlsClientConf. P: "proxy_ssl".
template <class Conf, FixedText P, uint32_t Contexts>
constexpr auto tls_client_directives = std::array<Directive, 16>{
    custom<set_tls_client_certificate, Conf, &TlsClientConf::certificate>(joined_name<P, "_certificate">, Contexts, words(1),
                                                                         "The certificate shown to peers, in PEM; empty: none.")
        .takes("file | data:text"),
    custom<set_tls_client_key, Conf, &TlsClientConf::key>(joined_name<P, "_certificate_key">, Contexts, words(1), "Its key.")
        .takes("file | data:text | engine:name:id | store:uri"),
    slot<Conf, &TlsClientConf::certificate_cache>(joined_name<P, "_certificate_cache">, Contexts,
                                                  "Certificates whose names have variables are kept loaded."),
    custom<read_tls_client_passwords, Conf, &TlsClientConf::passwords>(joined_name<P, "_password_file">, Contexts, words(1),
                                                                      "Passwords of keys, one per line, tried in turn.")
        .takes("file"),
    slot<Conf, &TlsClientConf::protocols>(joined_name<P, "_protocols">, Contexts, "Versions of TLS towards peers."),
    slot<Conf, &TlsClientConf::ciphers>(joined_name<P, "_ciphers">, Contexts, "Ciphers up to TLS 1.2, in OpenSSL's format."),
    slot<Conf, &TlsClientConf::name>(joined_name<P, "_name">, Contexts, "The name a peer's certificate must have; the host of the URL."),
    slot<Conf, &TlsClientConf::server_name>(joined_name<P, "_server_name">, Contexts, "Send that name in the handshake (SNI)."),
    slot<Conf, &TlsClientConf::verify>(joined_name<P, "_verify">, Contexts, "Whether a peer's certificate must verify."),
    slot<Conf, &TlsClientConf::verify_depth>(joined_name<P, "_verify_depth">, Contexts, "Longest chain of a peer's certificate."),
    custom<set_tls_client_sans, Conf, &TlsClientConf::sans>(
        joined_name<P, "_verify_san">, Contexts, words_from(1),
        "Alternative names of which a peer's certificate, which must be verified, must have one, in place of the name; \"uri:...\" may end "
        "in \"/*\".")
        .takes("uri:id | dns:name ... | off"),
    custom<set_tls_client_trusted, Conf, &TlsClientConf::trusted_certificate>(joined_name<P, "_trusted_certificate">, Contexts, words(1),
                                                                             "Authorities whose peers are trusted.")
        .takes("file"),
    custom<set_tls_client_crl, Conf, &TlsClientConf::crl>(joined_name<P, "_crl">, Contexts, words(1), "Revoked certificates of peers.")
        .takes("file"),
    slot<Conf, &TlsClientConf::session_reuse>(joined_name<P, "_session_reuse">, Contexts, "Resume sessions with peers."),
    slot<Conf, &TlsClientConf::commands>(joined_name<P, "_conf_command">, Contexts, "A command of OpenSSL's configuration."),
    custom<set_tls_client_key_log, Conf, &TlsClientConf::key_log>(joined_name<P, "_key_log">, Contexts, words(1),
                                                          "File for the secrets of handshakes, for debugging (SSLKEYLOGFILE format).")
        .takes("file"),
};

}  // namespace fairlead
