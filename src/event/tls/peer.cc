// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/peer.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <span>

#include "core/base/addr.h"
#include "core/base/encoding.h"
#include "core/base/format.h"
#include "event/tls/pem.h"

namespace fairlead {

namespace {

std::string hex_of(const unsigned char* bytes, size_t count) {
  return hex({reinterpret_cast<const char*>(bytes), count});
}

void add_part(std::string& list, std::string_view part) {
  if (!list.empty()) list += ':';
  list += part;
}

template <class Print>
std::string printed(Print print) {
  BioPtr memory(BIO_new(BIO_s_mem()));
  if (!memory) return {};
  print(memory.get());
  return std::string(bio_text(*memory));
}

std::string name_text(const X509_NAME* name, NameFormat format) {
  if (!name) return {};
  if (format == NameFormat::rfc2253)
    return printed([&](BIO* to) { X509_NAME_print_ex(to, const_cast<X509_NAME*>(name), 0, XN_FLAG_RFC2253); });
  char* line = X509_NAME_oneline(name, nullptr, 0);
  std::string text = line ? line : "";
  OPENSSL_free(line);
  return text;
}

}  // namespace

std::string cipher_list_text(SSL& ssl) {
  const unsigned char* raw = nullptr;
  size_t bytes_each = SSL_get0_raw_cipherlist(&ssl, nullptr);
  size_t bytes = SSL_get0_raw_cipherlist(&ssl, &raw);
  std::string text;
  if (!raw || bytes_each == 0) return text;
  for (size_t at = 0; at + bytes_each <= bytes; at += bytes_each) {
    const SSL_CIPHER* cipher = SSL_CIPHER_find(&ssl, raw + at);
    if (cipher) add_part(text, SSL_CIPHER_get_name(cipher));
    else add_part(text, format("0x{}", hex_of(raw + at, bytes_each)));
  }
  return text;
}

std::string curve_list_text(SSL& ssl) {
  std::string text;
  long count = SSL_get1_groups(&ssl, nullptr);
  if (count <= 0) return text;
  std::vector<int> groups(static_cast<size_t>(count));
  SSL_get1_groups(&ssl, groups.data());
  for (int group : groups) {
    if (group & TLSEXT_nid_unknown) add_part(text, format("0x{:04x}", group & 0xffff));
    else add_part(text, OBJ_nid2sn(group));
  }
  return text;
}

std::string curve_text(SSL& ssl) {
  long group = SSL_get_negotiated_group(&ssl);
  if (group == NID_undef) return {};
  if (group & TLSEXT_nid_unknown) return format("0x{:04x}", group & 0xffff);
  return OBJ_nid2sn(static_cast<int>(group));
}

std::string session_id_text(SSL& ssl) {
  SSL_SESSION* session = SSL_get0_session(&ssl);
  if (!session) return {};
  unsigned bytes = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &bytes);
  return hex_of(id, bytes);
}

// RFC 8446 section 4.2.3.
std::string signature_text(SSL& ssl, bool of_peer) {
  struct Scheme {
    int type, digest;
    const char* name;
  };
  static constexpr Scheme schemes[] = {
      {EVP_PKEY_RSA, NID_sha256, "rsa_pkcs1_sha256"},         {EVP_PKEY_RSA, NID_sha384, "rsa_pkcs1_sha384"},
      {EVP_PKEY_RSA, NID_sha512, "rsa_pkcs1_sha512"},         {EVP_PKEY_RSA_PSS, NID_sha256, "rsa_pss_rsae_sha256"},
      {EVP_PKEY_RSA_PSS, NID_sha384, "rsa_pss_rsae_sha384"},  {EVP_PKEY_RSA_PSS, NID_sha512, "rsa_pss_rsae_sha512"},
      {EVP_PKEY_EC, NID_sha256, "ecdsa_secp256r1_sha256"},    {EVP_PKEY_EC, NID_sha384, "ecdsa_secp384r1_sha384"},
      {EVP_PKEY_EC, NID_sha512, "ecdsa_secp521r1_sha512"},    {EVP_PKEY_ED25519, NID_undef, "ed25519"},
      {EVP_PKEY_ED448, NID_undef, "ed448"},                   {EVP_PKEY_RSA, NID_sha1, "rsa_pkcs1_sha1"},
      {EVP_PKEY_EC, NID_sha1, "ecdsa_sha1"},
  };
  int type = NID_undef, digest = NID_undef;
  if (of_peer) {
    if (!SSL_get_peer_signature_type_nid(&ssl, &type)) return {};
    SSL_get_peer_signature_nid(&ssl, &digest);
  } else {
    if (!SSL_get_signature_type_nid(&ssl, &type)) return {};
    SSL_get_signature_nid(&ssl, &digest);
  }
  for (const Scheme& scheme : schemes)
    if (scheme.type == type && (scheme.digest == digest || scheme.digest == NID_undef)) return scheme.name;
  return {};
}

void forget_session(SSL& ssl) {
  if (SSL_SESSION* session = SSL_get0_session(&ssl)) SSL_CTX_remove_session(SSL_get_SSL_CTX(&ssl), session);
}

std::string subject_text(X509& certificate, NameFormat format) { return name_text(X509_get_subject_name(&certificate), format); }
std::string issuer_text(X509& certificate, NameFormat format) { return name_text(X509_get_issuer_name(&certificate), format); }

std::string serial_text(X509& certificate) {
  return printed([&](BIO* to) { i2a_ASN1_INTEGER(to, X509_get0_serialNumber(&certificate)); });
}

std::string fingerprint_text(X509& certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  if (X509_digest(&certificate, EVP_sha1(), digest, &bytes) != 1) return {};
  return hex_of(digest, bytes);
}

std::string pem_text(X509& certificate) {
  return printed([&](BIO* to) { PEM_write_bio_X509(to, &certificate); });
}

std::string time_text(const ASN1_TIME* time) {
  return printed([&](BIO* to) { ASN1_TIME_print(to, time); });
}

uint64_t days_left(X509& certificate, int64_t now) {
  int64_t end = seconds_of(X509_get0_notAfter(&certificate));
  return end > now ? static_cast<uint64_t>(end - now) / 86400 : 0;
}

std::vector<std::string> alternative_names(X509& certificate, AlternativeName kind) {
  std::vector<std::string> found;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != (kind == AlternativeName::dns ? GEN_DNS : GEN_URI)) continue;
    const ASN1_IA5STRING* text = kind == AlternativeName::dns ? name->d.dNSName : name->d.uniformResourceIdentifier;
    std::string_view view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<size_t>(ASN1_STRING_length(text)));
    bool plain = !view.empty() && std::all_of(view.begin(), view.end(), [](char c) { return c > ' ' && c < 0x7f && c != ','; });
    if (plain) found.emplace_back(view);
  }
  GENERAL_NAMES_free(names);
  return found;
}

static bool is_spiffe_segment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." && std::all_of(segment.begin(), segment.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

bool is_spiffe_id(std::string_view id) {
  constexpr std::string_view scheme = "spiffe://";
  constexpr size_t id_bytes_max = 2048, domain_bytes_max = 255;
  if (!id.starts_with(scheme) || id.size() > id_bytes_max) return false;
  std::string_view rest = id.substr(scheme.size());
  std::string_view domain = rest.substr(0, rest.find('/'));
  bool plain = std::all_of(domain.begin(), domain.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
  if (domain.empty() || domain.size() > domain_bytes_max || !plain) return false;
  rest.remove_prefix(domain.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the '/'
    std::string_view segment = rest.substr(0, rest.find('/'));
    if (!is_spiffe_segment(segment)) return false;
    rest.remove_prefix(segment.size());
  }
  return true;
}

std::string spiffe_id(X509& certificate) {
  if (X509_check_ca(&certificate) != 0 && (X509_get_extension_flags(&certificate) & EXFLAG_CA)) return {};
  int uris = 0;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i)
    if (sk_GENERAL_NAME_value(names, i)->type == GEN_URI) ++uris;
  GENERAL_NAMES_free(names);
  std::vector<std::string> found = alternative_names(certificate, AlternativeName::uri);
  if (uris != 1 || found.size() != 1 || !is_spiffe_id(found[0])) return {};
  return found[0];
}

bool VerifyResult::is_untrusted_only() const {
  switch (code) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return true;
    default: return false;
  }
}

const char* VerifyResult::text() const { return X509_verify_cert_error_string(code); }
VerifyResult verify_result(SSL& ssl) { return {SSL_get_verify_result(&ssl)}; }
bool is_address_text(std::string_view host) {
  bool is_bare_v6 = host.find(':') != std::string_view::npos;
  auto parsed = parse_addr(is_bare_v6 ? format("[{}]", host) : std::string(host), 1, AddrUse::connect);
  return parsed && !parsed->is_name();
}

// Of length 0 OpenSSL reads a text up to its NUL.
bool has_name(X509& certificate, std::string_view name) {
  if (name.empty()) return false;
  if (is_address_text(name)) return X509_check_ip_asc(&certificate, std::string(name).c_str(), 0) == 1;
  return X509_check_host(&certificate, name.data(), name.size(), 0, nullptr) == 1;
}

bool has_peer_certificate(SSL& ssl) { return SSL_get0_peer_certificate(&ssl) != nullptr; }

}  // namespace fairlead
