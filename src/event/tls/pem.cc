// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>

#ifndef OPENSSL_NO_ENGINE
#include <openssl/engine.h>
#endif

#include <ctime>

#include "core/base/format.h"
#include "event/tls/objects.h"

namespace fairlead {

namespace {

constexpr std::string_view data_prefix = "data:", engine_prefix = "engine:", store_prefix = "store:";

KeyPtr share_all(const KeyPtr& key) { return share(key.get()); }
template <class T>
std::vector<T> share_all(const std::vector<T>& objects) {
  std::vector<T> shared;
  for (const T& object : objects) shared.push_back(share(object.get()));
  return shared;
}

// The text of a "data:" source or the file of a path; nullptr with the call that failed in `call`.
BioPtr open_source(std::string_view source, const char*& call) {
  if (source.starts_with(data_prefix)) {
    source.remove_prefix(data_prefix.size());
    call = "BIO_new_mem_buf()";
    return BioPtr(BIO_new_mem_buf(source.data(), static_cast<int>(source.size())));
  }
  call = "BIO_new_file()";
  return BioPtr(BIO_new_file(std::string(source).c_str(), "r"));
}

// As it is shown in messages: the texts of "data:" may be secret.
std::string_view shown(std::string_view source) { return source.starts_with(data_prefix) ? data_prefix : source; }

std::string cannot_load(std::string_view what, std::string_view source, std::string_view call) {
  return format("cannot load {} \"{}\": {}", what, shown(source), openssl_failure(call));
}

// The end of a PEM file is an error of its own in OpenSSL's words.
bool is_pem_end() {
  unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

struct PasswordTry {
  std::string_view password;
  bool asked = false;
};

int give_password(char* to, int room, int for_writing, void* state) {
  auto& attempt = *static_cast<PasswordTry*>(state);
  attempt.asked = true;
  if (for_writing || attempt.password.empty()) return 0;
  size_t bytes = attempt.password.copy(to, static_cast<size_t>(room));
  return static_cast<int>(bytes);
}

ConfResult<KeyPtr> load_engine_key(std::string_view source) {
#ifndef OPENSSL_NO_ENGINE
  std::string rest(source.substr(engine_prefix.size()));
  size_t colon = rest.find(':');
  if (colon == std::string::npos) return format("cannot load certificate key \"{}\": invalid syntax", source);
  std::string name = rest.substr(0, colon), id = rest.substr(colon + 1);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  ENGINE* engine = ENGINE_by_id(name.c_str());
  if (!engine) return cannot_load("certificate key", source, "ENGINE_by_id(\"" + name + "\")");
  KeyPtr key;
  if (ENGINE_init(engine)) {
    key.reset(ENGINE_load_private_key(engine, id.c_str(), nullptr, nullptr));
    ENGINE_finish(engine);
  }
  ENGINE_free(engine);
#pragma GCC diagnostic pop
  if (!key) return cannot_load("certificate key", source, "ENGINE_load_private_key(\"" + id + "\")");
  return key;
#else
  return format("cannot load certificate key \"{}\": loading \"engine:...\" certificate keys is not supported", source);
#endif
}

ConfResult<KeyPtr> load_store_key(std::string_view source) {
  std::string uri(source.substr(store_prefix.size()));
  OSSL_STORE_CTX* store = OSSL_STORE_open(uri.c_str(), nullptr, nullptr, nullptr, nullptr);
  if (!store) return cannot_load("certificate key", source, "OSSL_STORE_open(\"" + uri + "\")");
  KeyPtr key;
  while (!key && !OSSL_STORE_eof(store)) {
    OSSL_STORE_INFO* entry = OSSL_STORE_load(store);
    if (!entry) continue;
    if (OSSL_STORE_INFO_get_type(entry) == OSSL_STORE_INFO_PKEY) key.reset(OSSL_STORE_INFO_get1_PKEY(entry));
    OSSL_STORE_INFO_free(entry);
  }
  OSSL_STORE_close(store);
  if (!key) return cannot_load("certificate key", source, "OSSL_STORE_load(\"" + uri + "\")");
  ERR_clear_error();
  return key;
}

}  // namespace

namespace {

using Kind = TlsObjects::Kind;

bool is_file(std::string_view source) {
  for (std::string_view prefix : {data_prefix, engine_prefix, store_prefix})
    if (source.starts_with(prefix)) return false;
  return true;
}

// What `read` gives for a file, once for all that ask while a configuration is loaded; else a fresh one.
template <class T, class Read>
ConfResult<T> read_once(Kind kind, std::string_view source, Read read) {
  TlsObjects* kept = is_file(source) ? TlsObjects::current() : nullptr;
  if (!kept) return read(source);
  if (const T* found = kept->find<T>(kind, source)) return share_all(*found);
  FileMark mark = FileMark::of(std::string(source));
  auto fresh = read(source);
  if (!fresh) return std::move(fresh.error());
  return share_all(kept->keep(kind, source, mark, std::move(*fresh)));
}

// The leaf, then its chain.
ConfResult<TlsObjects::Certificates> read_certificate(std::string_view source) {
  const char* call;
  BioPtr bio = open_source(source, call);
  if (!bio) return cannot_load("certificate", source, call);
  TlsObjects::Certificates all;
  all.emplace_back(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
  if (!all[0]) return cannot_load("certificate", source, "PEM_read_bio_X509_AUX()");
  // Its alias, which never goes over the wire, says where it is from.
  std::string from(shown(source));
  X509_alias_set1(all[0].get(), reinterpret_cast<const unsigned char*>(from.data()), static_cast<int>(from.size()));
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) all.emplace_back(next);
  if (!is_pem_end()) return cannot_load("certificate", source, "PEM_read_bio_X509()");
  ERR_clear_error();
  return all;
}

ConfResult<KeyPtr> read_key(std::string_view source, std::span<const std::string_view> passwords) {
  size_t at = 0;
  do {
    const char* call;
    BioPtr bio = open_source(source, call);
    if (!bio) return cannot_load("certificate key", source, call);
    PasswordTry attempt;
    if (at < passwords.size()) attempt.password = passwords[at];
    KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &give_password, &attempt));
    if (key) {
      ERR_clear_error();
      return key;
    }
    if (!attempt.asked) break;  // not a matter of the password
    ++at;
    if (at < passwords.size()) ERR_clear_error();
  } while (at < passwords.size());
  return cannot_load("certificate key", source, "PEM_read_bio_PrivateKey()");
}

ConfResult<TlsObjects::Certificates> read_bundle(std::string_view source) {
  const char* call;
  BioPtr bio = open_source(source, call);
  if (!bio) return cannot_load("certificate", source, call);
  TlsObjects::Certificates all;
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) all.emplace_back(next);
  if (all.empty() || !is_pem_end()) return cannot_load("certificate", source, "PEM_read_bio_X509()");
  ERR_clear_error();
  return all;
}

ConfResult<TlsObjects::Lists> read_crls(std::string_view source) {
  const char* call;
  BioPtr bio = open_source(source, call);
  if (!bio) return cannot_load("CRL", source, call);
  TlsObjects::Lists all;
  while (X509_CRL* next = PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)) all.emplace_back(next);
  if (all.empty() || !is_pem_end()) return cannot_load("CRL", source, "PEM_read_bio_X509_CRL()");
  ERR_clear_error();
  return all;
}

}  // namespace

ConfResult<KeyPair> load_certificate(std::string_view source) {
  auto all = read_once<TlsObjects::Certificates>(Kind::certificate, source, read_certificate);
  if (!all) return std::move(all.error());
  KeyPair pair;
  pair.certificate = std::move(all->front());
  all->erase(all->begin());
  pair.chain = std::move(*all);
  return pair;
}

std::string_view source_of(X509& certificate) {
  int bytes = 0;
  const unsigned char* alias = X509_alias_get0(&certificate, &bytes);
  return alias ? std::string_view(reinterpret_cast<const char*>(alias), static_cast<size_t>(bytes)) : std::string_view();
}

ConfResult<KeyPtr> load_key(std::string_view source, std::span<const std::string_view> passwords) {
  if (source.starts_with(engine_prefix)) return load_engine_key(source);
  if (source.starts_with(store_prefix)) return load_store_key(source);
  return read_once<KeyPtr>(Kind::key, source, [&](std::string_view from) { return read_key(from, passwords); });
}

ConfResult<std::vector<X509Ptr>> load_certificates(std::string_view source) {
  return read_once<TlsObjects::Certificates>(Kind::bundle, source, read_bundle);
}

ConfResult<std::vector<X509CrlPtr>> load_crls(std::string_view source) {
  return read_once<TlsObjects::Lists>(Kind::lists, source, read_crls);
}

ConfResult<KeyPair> load_pair(std::string_view certificate, std::string_view key, std::span<const std::string_view> passwords) {
  auto pair = load_certificate(certificate);
  if (!pair) return std::move(pair.error());
  auto loaded = load_key(key, passwords);
  if (!loaded) return std::move(loaded.error());
  if (X509_check_private_key(pair->certificate.get(), loaded->get()) != 1)
    return format("SSL_CTX_use_PrivateKey(\"{}\") failed{}", shown(key), take_openssl_errors());
  pair->key = std::move(*loaded);
  return pair;
}

int64_t seconds_of(const ASN1_TIME* time) {
  tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return timegm(&parts);
}

ConfResult<Unit> check_dates(X509& certificate, int64_t now) {
  if (seconds_of(X509_get0_notBefore(&certificate)) > now) return std::string("the certificate is not yet valid");
  if (seconds_of(X509_get0_notAfter(&certificate)) < now) return std::string("the certificate has expired");
  return Unit();
}

}  // namespace fairlead
