// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/openssl.h"

#include <openssl/bio.h>
#include <openssl/err.h>

namespace fairlead {

X509Ptr share(X509* certificate) {
  X509_up_ref(certificate);
  return X509Ptr(certificate);
}

X509CrlPtr share(X509_CRL* list) {
  X509_CRL_up_ref(list);
  return X509CrlPtr(list);
}

KeyPtr share(EVP_PKEY* key) {
  EVP_PKEY_up_ref(key);
  return KeyPtr(key);
}

SslContextPtr share(SSL_CTX* context) {
  SSL_CTX_up_ref(context);
  return SslContextPtr(context);
}

X509StorePtr share(X509_STORE* store) {
  X509_STORE_up_ref(store);
  return X509StorePtr(store);
}

X509_STORE* trust_of(SSL& ssl) {
  X509_STORE* own = nullptr;
  SSL_get0_verify_cert_store(&ssl, &own);
  return own ? own : SSL_CTX_get_cert_store(SSL_get_SSL_CTX(&ssl));
}

std::string take_openssl_errors() {
  std::string text;
  const char* detail = nullptr;
  int flags = 0;
  while (unsigned long error = ERR_get_error_all(nullptr, nullptr, nullptr, &detail, &flags)) {
    char one[256];
    ERR_error_string_n(error, one, sizeof one);
    text += text.empty() ? " (SSL: " : " ";
    text += one;
    if (detail && *detail && (flags & ERR_TXT_STRING)) {
      text += ':';
      text += detail;
    }
  }
  if (!text.empty()) text += ')';
  return text;
}

std::string openssl_failure(std::string_view what) {
  std::string text(what);
  text += " failed";
  text += take_openssl_errors();
  return text;
}

std::string_view bio_text(BIO& memory) {
  char* text = nullptr;
  long bytes = BIO_get_mem_data(&memory, &text);
  return {text, static_cast<size_t>(bytes)};
}

}  // namespace fairlead
