// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TlsServerConf: the values of the ssl_* directives of a server, whatever its engine, and their rows as a bundle for http and stream. What
// is made of them is in server.h.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "core/conf/line.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "event/tls/conf_source.h"
#include "event/tls/context.h"
#include "event/tls/pair_cache.h"
#include "event/tls/sessions.h"

namespace fairlead {

enum class ClientOcsp : uint8_t { off, on, leaf };
enum class VerifyClient : uint8_t { off, on, optional, optional_no_ca };

struct TicketKeyFile {
  std::string_view path;
  Place place;
};

struct TlsServerConf {
  std::vector<Template> certificates, keys;  // the n-th key is that of the n-th certificate
  std::vector<std::string_view> passwords;   // of ssl_password_file
  Flags<TlsProtocol> protocols{tls_protocols_default};
  std::string_view ciphers = "HIGH:!aNULL:!MD5";
  std::string_view curves = "auto";
  std::string_view dh_parameters;            // paths: absolute, empty: none
  bool prefer_server_ciphers = false;
  Size buffer_size{16384};
  VerifyClient verify_client = VerifyClient::off;
  uint64_t verify_depth = 1;
  std::string_view client_certificate, trusted_certificate, crl;
  bool reject_handshake = false;
  PairCacheLimits certificate_cache;
  TlsSessionCache session_cache;
  bool session_tickets = true;
  std::vector<TicketKeyFile> ticket_keys;
  Seconds session_timeout{300};
  bool early_data = false;
  bool stapling = false;
  std::string_view stapling_file;      // a DER answer in place of asking
  std::string_view stapling_responder; // in place of the certificate's
  bool stapling_verify = false;
  ClientOcsp ocsp = ClientOcsp::off;
  std::string_view ocsp_responder;
  Zone* ocsp_cache = nullptr;          // verdicts shared by the workers
  std::vector<TlsCommand> commands;
  LogSink* key_log = nullptr;          // of the generation

  // Handshakes with it are its own; otherwise they are its address's default server's.
  bool wants_context() const { return !certificates.empty() || reject_handshake; }
  bool verifies_clients() const { return verify_client != VerifyClient::off; }
  bool has_authorities() const { return !client_certificate.empty() || !trusted_certificate.empty(); }
};

// Setters of rows that a slot cannot make.
ConfResult<Unit> add_tls_certificate(Line& line, TlsServerConf& conf);
ConfResult<Unit> add_tls_key(Line& line, TlsServerConf& conf);
ConfResult<Unit> add_tls_ticket_key(Line& line, TlsServerConf& conf);
ConfResult<Unit> set_tls_ocsp_cache(Line& line, TlsServerConf& conf);
ConfResult<Unit> set_tls_server_key_log(Line& line, TlsServerConf& conf);
ConfResult<Unit> read_tls_server_passwords(Line& line, TlsServerConf& conf);
// For a directive of something that OpenSSL 3.0 cannot do.
ConfResult<Unit> refuse_tls_feature(Line& line, TlsServerConf& conf);
template <std::string_view TlsServerConf::*Member>
ConfResult<Unit> set_tls_path(Line& line, TlsServerConf& conf) {
  conf.*Member = tls_path(line, 1);
  return Unit();
}

}  // namespace fairlead

namespace fairlead {
template <>
struct EnumWords<ClientOcsp> {
  static constexpr EnumWord<ClientOcsp> all[] = {{"off", ClientOcsp::off}, {"on", ClientOcsp::on}, {"leaf", ClientOcsp::leaf}};
};
template <>
struct EnumWords<VerifyClient> {
  static constexpr EnumWord<VerifyClient> all[] = {{"off", VerifyClient::off},
                                                   {"on", VerifyClient::on},
                                                   {"optional", VerifyClient::optional},
                                                   {"optional_no_ca", VerifyClient::optional_no_ca}};
};

// `Conf` is TlsServerConf or derives from it.
template <class Conf, uint32_t Contexts>
constexpr auto tls_server_directives = std::array<Directive, 32>{
    custom<add_tls_certificate, Conf, &TlsServerConf::certificates>("ssl_certificate", Contexts, words(1),
                                                                   "The server's certificate with its chain, in PEM; once per kind of key.")
        .many()
        .takes("file | data:text"),
    custom<add_tls_key, Conf, &TlsServerConf::keys>("ssl_certificate_key", Contexts, words(1), "The key of the certificate.")
        .many()
        .takes("file | data:text | engine:name:id | store:uri"),
    custom<read_tls_server_passwords, Conf, &TlsServerConf::passwords>("ssl_password_file", Contexts, words(1),
                                                               "Passwords of keys, one per line, tried in turn.")
        .takes("file"),
    slot<Conf, &TlsServerConf::protocols>("ssl_protocols", Contexts, "Versions of TLS."),
    slot<Conf, &TlsServerConf::ciphers>("ssl_ciphers", Contexts, "Ciphers up to TLS 1.2, in OpenSSL's format."),
    slot<Conf, &TlsServerConf::prefer_server_ciphers>("ssl_prefer_server_ciphers", Contexts,
                                                      "The server's order of ciphers counts, not the client's."),
    slot<Conf, &TlsServerConf::curves>("ssl_ecdh_curve", Contexts, "Groups for the key exchange, colon separated, or auto."),
    custom<set_tls_path<&TlsServerConf::dh_parameters>, Conf, &TlsServerConf::dh_parameters>("ssl_dhparam", Contexts, words(1),
                                                                                           "Parameters for DHE ciphers.")
        .takes("file"),
    slot<Conf, &TlsServerConf::buffer_size>("ssl_buffer_size", Contexts, "Most bytes of one record when sending."),
    slot<Conf, &TlsServerConf::verify_client>("ssl_verify_client", Contexts,
                                              "Whether clients must show a certificate that verifies; also in a server that has no "
                                              "certificate itself."),
    slot<Conf, &TlsServerConf::verify_depth>("ssl_verify_depth", Contexts, "Longest chain of a client's certificate."),
    custom<set_tls_path<&TlsServerConf::client_certificate>, Conf, &TlsServerConf::client_certificate>(
        "ssl_client_certificate", Contexts, words(1), "Authorities whose clients are trusted; their names are sent to clients.")
        .takes("file"),
    custom<set_tls_path<&TlsServerConf::trusted_certificate>, Conf, &TlsServerConf::trusted_certificate>(
        "ssl_trusted_certificate", Contexts, words(1), "Authorities whose clients are trusted; their names are not sent.")
        .takes("file"),
    custom<set_tls_path<&TlsServerConf::crl>, Conf, &TlsServerConf::crl>("ssl_crl", Contexts, words(1), "Revoked certificates of clients.")
        .takes("file"),
    slot<Conf, &TlsServerConf::certificate_cache>("ssl_certificate_cache", Contexts,
                                                  "Certificates whose names have variables are kept loaded."),
    slot<Conf, &TlsServerConf::session_cache>("ssl_session_cache", Contexts, "Where sessions are kept for resumption.").many(),
    slot<Conf, &TlsServerConf::session_tickets>("ssl_session_tickets", Contexts, "Resumption by tickets that clients keep."),
    custom<add_tls_ticket_key, Conf, &TlsServerConf::ticket_keys>("ssl_session_ticket_key", Contexts, words(1),
                                                                 "A key of tickets, 48 or 80 bytes; the first encrypts, all decrypt.")
        .many()
        .takes("file"),
    slot<Conf, &TlsServerConf::session_timeout>("ssl_session_timeout", Contexts, "How long a session may be resumed."),
    slot<Conf, &TlsServerConf::early_data>("ssl_early_data", Contexts,
                                           "Take requests in TLS 1.3 early data, which can be replayed: see $ssl_early_data."),
    slot<Conf, &TlsServerConf::stapling>("ssl_stapling", Contexts, "Send the responder's answer about the server's certificate (OCSP)."),
    custom<set_tls_path<&TlsServerConf::stapling_file>, Conf, &TlsServerConf::stapling_file>(
        "ssl_stapling_file", Contexts, words(1), "The answer to send, in DER, in place of asking the responder.")
        .takes("file"),
    slot<Conf, &TlsServerConf::stapling_responder>("ssl_stapling_responder", Contexts, "URL of the responder, not the certificate's."),
    slot<Conf, &TlsServerConf::stapling_verify>("ssl_stapling_verify", Contexts,
                                                "Whether the answer must be signed by whom ssl_trusted_certificate trusts."),
    slot<Conf, &TlsServerConf::ocsp>("ssl_ocsp", Contexts, "Ask responders about clients' certificates: the whole chain, or the leaf."),
    slot<Conf, &TlsServerConf::ocsp_responder>("ssl_ocsp_responder", Contexts, "URL of that responder; the certificate's by default."),
    custom<set_tls_ocsp_cache, Conf, &TlsServerConf::ocsp_cache>("ssl_ocsp_cache", Contexts, words(1),
                                                                "Where answers about clients are kept for all workers.")
        .takes("off | shared:name:size"),
    slot<Conf, &TlsServerConf::reject_handshake>("ssl_reject_handshake", Contexts,
                                                 "Refuse handshakes that name this server (or none that is known)."),
    slot<Conf, &TlsServerConf::commands>("ssl_conf_command", Contexts, "A command of OpenSSL's configuration."),
    custom<set_tls_server_key_log, Conf, &TlsServerConf::key_log>(
        "ssl_key_log", Contexts, words(1), "File for the secrets of handshakes, for debugging (SSLKEYLOGFILE format).")
        .takes("file"),
    custom<refuse_tls_feature, Conf>("ssl_certificate_compression", Contexts, words(1), "Not with OpenSSL 3.0: only \"off\" is taken.")
        .takes("off"),
    custom<refuse_tls_feature, Conf>("ssl_ech_file", Contexts, words(1), "Not with OpenSSL 3.0: refused.").many().takes("file"),
};

}  // namespace fairlead
