// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_ssl/variables.h"

#include "core/base/clock.h"
#include "core/base/escape.h"
#include "core/base/format.h"
#include "core/conf/session_vars.h"
#include "event/tls/peer.h"
#include "http/request/client_facts.h"
#include "http/request/request.h"
#include "http/request/secure.h"

namespace fairlead::http_ssl {
namespace {

using http::Request;
using http::as_request;

// nullptr: the client speaks no TLS.
SSL* ssl_of(Session& session) {
  const http::ClientFacts& facts = as_request(session).facts;
  return facts.secure ? &facts.secure->ssl() : nullptr;
}
X509* certificate_of(Session& session) {
  SSL* ssl = ssl_of(session);
  return ssl ? SSL_get0_peer_certificate(ssl) : nullptr;
}

Value found_text(Session& session, std::string_view text) { return text.empty() ? Value::missing() : text_value(session, text); }

// A text of the session, of the certificate.
template <auto Text>
Value of_ssl(Session& session, uintptr_t) {
  SSL* ssl = ssl_of(session);
  return ssl ? found_text(session, Text(*ssl)) : Value::missing();
}
template <auto Text>
Value of_certificate(Session& session, uintptr_t) {
  X509* certificate = certificate_of(session);
  return certificate ? found_text(session, Text(*certificate)) : Value::missing();
}

std::string_view or_nothing(const char* text) { return text ? std::string_view(text) : std::string_view(); }
std::string_view protocol(SSL& ssl) { return or_nothing(SSL_get_version(&ssl)); }
std::string_view cipher(SSL& ssl) { return or_nothing(SSL_get_cipher_name(&ssl)); }
std::string_view server_name(SSL& ssl) { return or_nothing(SSL_get_servername(&ssl, TLSEXT_NAMETYPE_host_name)); }
std::string_view is_reused(SSL& ssl) { return SSL_session_reused(&ssl) ? "r" : "."; }
std::string_view is_early(SSL& ssl) { return SSL_is_init_finished(&ssl) ? "" : "1"; }
std::string_view no_text(SSL&) { return {}; }  // of an Encrypted Client Hello, which OpenSSL 3.0 knows nothing of
std::string signature(SSL& ssl) { return signature_text(ssl, false); }
std::string peer_signature(SSL& ssl) { return signature_text(ssl, true); }
Value alpn_protocol(Session& session, uintptr_t) { return found_text(session, as_request(session).facts.alpn); }

std::string subject(X509& certificate) { return subject_text(certificate, NameFormat::rfc2253); }
std::string issuer(X509& certificate) { return issuer_text(certificate, NameFormat::rfc2253); }
std::string subject_line(X509& certificate) { return subject_text(certificate, NameFormat::oneline); }
std::string issuer_line(X509& certificate) { return issuer_text(certificate, NameFormat::oneline); }
std::string begin_time(X509& certificate) { return time_text(X509_get0_notBefore(&certificate)); }
std::string end_time(X509& certificate) { return time_text(X509_get0_notAfter(&certificate)); }
std::string remaining_days(X509& certificate) { return format("{}", days_left(certificate, process_clock.seconds())); }

// As a header field of several lines: continuation lines begin with a tab, and the last has no end.
std::string folded_pem(X509& certificate) {
  std::string text = pem_text(certificate), folded;
  if (text.ends_with('\n')) text.pop_back();
  for (char c : text) {
    folded += c;
    if (c == '\n') folded += '\t';
  }
  return folded;
}
std::string escaped_pem(X509& certificate) {
  std::string text;
  escape_append(Escape::uri_component, text, pem_text(certificate));
  return text;
}

template <AlternativeName Kind>
std::string names(X509& certificate) {
  std::string list;
  for (const std::string& name : alternative_names(certificate, Kind)) {
    if (!list.empty()) list += ',';
    list += name;
  }
  return list;
}

// Of the certificate that this server showed.
template <auto Text>
Value of_own_certificate(Session& session, uintptr_t) {
  SSL* ssl = ssl_of(session);
  X509* certificate = ssl ? SSL_get_certificate(ssl) : nullptr;
  return certificate ? found_text(session, Text(*certificate)) : Value::missing();
}

Value client_verify(Session& session, uintptr_t) {
  SSL* ssl = ssl_of(session);
  if (!ssl) return Value::missing();
  if (!has_peer_certificate(*ssl)) return Value{"NONE"};
  VerifyResult result = verify_result(*ssl);
  std::string_view revocation = as_request(session).facts.secure->revocation();
  if (!revocation.empty()) return text_value(session, format("FAILED:{}", revocation));
  if (result.is_good()) return Value{"SUCCESS"};
  return text_value(session, format("FAILED:{}", result.text()));
}

}  // namespace

// As in nginx a configuration may take these names for itself. What decides about clients asks the
// connection, not a variable.
constinit const VariableDef variables[variable_count] = {
    {"ssl_protocol", of_ssl<protocol>, variable_changeable, http_variable},
    {"ssl_cipher", of_ssl<cipher>, variable_changeable, http_variable},
    {"ssl_ciphers", of_ssl<cipher_list_text>, variable_changeable, http_variable},
    {"ssl_curve", of_ssl<curve_text>, variable_changeable, http_variable},
    {"ssl_curves", of_ssl<curve_list_text>, variable_changeable, http_variable},
    {"ssl_sigalg", of_ssl<signature>, variable_changeable, http_variable},
    {"ssl_session_id", of_ssl<session_id_text>, variable_changeable, http_variable},
    {"ssl_session_reused", of_ssl<is_reused>, variable_changeable, http_variable},
    {"ssl_early_data", of_ssl<is_early>, variable_volatile | variable_changeable, http_variable},
    {"ssl_server_name", of_ssl<server_name>, variable_changeable, http_variable},
    {"ssl_ech_status", of_ssl<no_text>, variable_changeable, http_variable},
    {"ssl_ech_outer_server_name", of_ssl<no_text>, variable_changeable, http_variable},
    {"ssl_alpn_protocol", alpn_protocol, variable_changeable, http_variable},
    {"ssl_client_cert", of_certificate<folded_pem>, variable_changeable, http_variable},
    {"ssl_client_raw_cert", of_certificate<pem_text>, variable_changeable, http_variable},
    {"ssl_client_escaped_cert", of_certificate<escaped_pem>, variable_changeable, http_variable},
    {"ssl_client_s_dn", of_certificate<subject>, variable_changeable, http_variable},
    {"ssl_client_i_dn", of_certificate<issuer>, variable_changeable, http_variable},
    {"ssl_client_s_dn_legacy", of_certificate<subject_line>, variable_changeable, http_variable},
    {"ssl_client_i_dn_legacy", of_certificate<issuer_line>, variable_changeable, http_variable},
    {"ssl_client_serial", of_certificate<serial_text>, variable_changeable, http_variable},
    {"ssl_client_fingerprint", of_certificate<fingerprint_text>, variable_changeable, http_variable},
    {"ssl_client_verify", client_verify, variable_changeable, http_variable},
    {"ssl_client_v_start", of_certificate<begin_time>, variable_changeable, http_variable},
    {"ssl_client_v_end", of_certificate<end_time>, variable_changeable, http_variable},
    {"ssl_client_v_remain", of_certificate<remaining_days>, variable_changeable, http_variable},
    {"ssl_client_sigalg", of_ssl<peer_signature>, variable_changeable, http_variable},
    {"ssl_client_san_uri", of_certificate<names<AlternativeName::uri>>, variable_changeable, http_variable},
    {"ssl_client_san_dns", of_certificate<names<AlternativeName::dns>>, variable_changeable, http_variable},
    {"ssl_server_v_end", of_own_certificate<end_time>, variable_changeable, http_variable},
    {"ssl_server_v_remain", of_own_certificate<remaining_days>, variable_changeable, http_variable},
    {"ssl_client_spiffe_id", of_certificate<spiffe_id>, variable_changeable, http_variable},
};

}  // namespace fairlead::http_ssl
