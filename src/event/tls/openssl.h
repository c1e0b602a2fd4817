// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// OpenSSL's objects as owned pointers, and its error queue as text. Nothing here knows sockets or the configuration.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

namespace fairlead {

template <auto Free>
struct OpensslFree {
  template <class T>
  void operator()(T* object) const { Free(object); }
};
using SslPtr = std::unique_ptr<SSL, OpensslFree<SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>>;
using SslSessionPtr = std::unique_ptr<SSL_SESSION, OpensslFree<SSL_SESSION_free>>;
using X509StorePtr = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;
using X509Ptr = std::unique_ptr<X509, OpensslFree<X509_free>>;
using X509CrlPtr = std::unique_ptr<X509_CRL, OpensslFree<X509_CRL_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;

// Shares an object that counts its owners.
X509Ptr share(X509* certificate);
X509CrlPtr share(X509_CRL* list);
KeyPtr share(EVP_PKEY* key);
SslContextPtr share(SSL_CTX* context);
X509StorePtr share(X509_STORE* store);
// Whom a connection verifies its peer by: its own store or that of its context, which it keeps alive.
X509_STORE* trust_of(SSL& ssl);

// What the error queue holds, emptied: " (SSL: error:0A000126:SSL routines::unexpected eof while reading)"; empty if there is nothing.
std::string take_openssl_errors();
// "WHAT failed (SSL: ...)": the reason of a failed call.
std::string openssl_failure(std::string_view what);
// What was written into a memory BIO; a view of its memory.
std::string_view bio_text(BIO& memory);

}  // namespace fairlead
