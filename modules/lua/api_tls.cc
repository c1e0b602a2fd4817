// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.ssl for scripts: certificates and keys, what a connection is, whether its client is verified.
#include "modules/lua/api_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>

#include "event/tls/peer.h"
#include "http/request/client_facts.h"
#include "http/request/request.h"
#include "http/request/secure.h"
#include "modules/lua/api.h"
#include "modules/lua/tls_objects.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {

SSL* current_ssl(lua_State* L) {
  Scope& scope = Scope::current();
  if (scope.hook == Hook::init) request_scope(L);
  if (scope.handshake) return &scope.handshake->ssl;
  const http::SecureClient* secure = scope.request ? scope.request->facts.secure : nullptr;
  return secure ? &secure->ssl() : nullptr;
}

int push_no_ssl(lua_State* L) { return push_failure(L, "bad request"); }

TlsHandshake& handshake_in(lua_State* L, HookSet where) {
  Scope& scope = Scope::current();
  if (!where.has(scope.hook) || !scope.handshake) luaL_error(L, "API disabled in the current context");
  return *scope.handshake;
}

int push_openssl_failure(lua_State* L, const char* what) {
  std::string& text = Scope::current().vm.text;
  text = openssl_failure(what);
  return push_failure(L, text);
}

int push_true(lua_State* L) {
  lua_pushboolean(L, 1);
  return 1;
}

BioPtr bio_of(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

static void free_chain(STACK_OF(X509)* chain) { sk_X509_pop_free(chain, X509_free); }

STACK_OF(X509)* parse_der_chain(std::string_view der) {
  STACK_OF(X509)* chain = sk_X509_new_null();
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* end = at + der.size();
  while (at < end) {
    X509* one = d2i_X509(nullptr, &at, end - at);
    if (one && sk_X509_push(chain, one)) continue;
    X509_free(one);
    free_chain(chain);
    return nullptr;
  }
  if (sk_X509_num(chain) > 0) return chain;
  free_chain(chain);
  return nullptr;
}

namespace {

using http::Request;

// -- certificates and keys as objects and as texts --

STACK_OF(X509)* parse_pem_chain(std::string_view pem) {
  BioPtr from = bio_of(pem);
  STACK_OF(X509)* chain = sk_X509_new_null();
  while (X509* one = PEM_read_bio_X509_AUX(from.get(), nullptr, nullptr, nullptr)) {
    if (!sk_X509_push(chain, one)) X509_free(one);
  }
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (sk_X509_num(chain) > 0 && at_end) {
    ERR_clear_error();
    return chain;
  }
  free_chain(chain);
  return nullptr;
}

// `password`: nullptr if none was given; OpenSSL must not ask the terminal.
int give_password(char* to, int room, int, void* password) {
  const auto* text = static_cast<const std::string_view*>(password);
  if (!text || static_cast<int>(text->size()) > room) return -1;
  text->copy(to, text->size());
  return static_cast<int>(text->size());
}

KeyPtr parse_pem_key(lua_State* L) {
  std::string_view pem = check_text(L, 1), password = check_text_or_nil(L, 2);
  BioPtr from = bio_of(pem);
  return KeyPtr(PEM_read_bio_PrivateKey(from.get(), nullptr, &give_password, lua_isnoneornil(L, 2) ? nullptr : &password));
}

KeyPtr parse_der_key(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  return KeyPtr(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
}

int push_chain_or_failure(lua_State* L, STACK_OF(X509)* chain, const char* what) {
  if (!chain) return push_openssl_failure(L, what);
  push_chain(L, chain);
  return 1;
}

// Nothing that owns memory may be in scope while the failure is pushed: see scope.h.
int push_key_or_failure(lua_State* L, EVP_PKEY* key, const char* what) {
  if (!key) return push_openssl_failure(L, what);
  push_key(L, KeyPtr(key));
  return 1;
}

int lua_parse_pem_cert(lua_State* L) { return push_chain_or_failure(L, parse_pem_chain(check_text(L, 1)), "PEM_read_bio_X509_AUX()"); }
int lua_parse_der_cert(lua_State* L) { return push_chain_or_failure(L, parse_der_chain(check_text(L, 1)), "d2i_X509()"); }
int lua_parse_pem_key(lua_State* L) { return push_key_or_failure(L, parse_pem_key(L).release(), "PEM_read_bio_PrivateKey()"); }
int lua_parse_der_key(lua_State* L) { return push_key_or_failure(L, parse_der_key(check_text(L, 1)).release(), "d2i_PrivateKey()"); }

// Into Vm::text.
void write_der(std::string& to, STACK_OF(X509)* chain) {
  to.clear();
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509* one = sk_X509_value(chain, i);
    size_t before = to.size();
    to.resize(before + static_cast<size_t>(i2d_X509(one, nullptr)));
    auto* at = reinterpret_cast<unsigned char*>(to.data() + before);
    i2d_X509(one, &at);
  }
}

int cert_pem_to_der(lua_State* L) {
  STACK_OF(X509)* chain = parse_pem_chain(check_text(L, 1));
  if (!chain) return push_openssl_failure(L, "PEM_read_bio_X509_AUX()");
  std::string& text = Scope::current().vm.text;
  write_der(text, chain);
  free_chain(chain);
  push_text(L, text);
  return 1;
}

int priv_key_pem_to_der(lua_State* L) {
  std::string& text = Scope::current().vm.text;
  bool good = false;
  {
    KeyPtr key = parse_pem_key(L);
    good = key != nullptr;
    if (good) {
      text.resize(static_cast<size_t>(i2d_PrivateKey(key.get(), nullptr)));
      auto* at = reinterpret_cast<unsigned char*>(text.data());
      i2d_PrivateKey(key.get(), &at);
    }
  }
  if (!good) return push_openssl_failure(L, "PEM_read_bio_PrivateKey()");
  push_text(L, text);
  return 1;
}

// -- what a handshake shows --

int clear_certs(lua_State* L) {
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  SSL_certs_clear(ssl);
  return push_true(L);
}

// The chain of the certificate that was set last, as OpenSSL keeps one per kind of key.
bool show_chain(SSL& ssl, STACK_OF(X509)* chain) {
  if (SSL_use_certificate(&ssl, sk_X509_value(chain, 0)) != 1) return false;
  SSL_clear_chain_certs(&ssl);
  for (int i = 1; i < sk_X509_num(chain); ++i)
    if (SSL_add1_chain_cert(&ssl, sk_X509_value(chain, i)) != 1) return false;
  return true;
}

int set_cert(lua_State* L) {
  STACK_OF(X509)* chain = lua_isnil(L, 1) ? nullptr : check_chain(L, 1);
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  if (!chain || sk_X509_num(chain) < 1) return push_failure(L, "invalid certificate chain");
  return show_chain(*ssl, chain) ? push_true(L) : push_openssl_failure(L, "SSL_use_certificate()");
}

int set_der_cert(lua_State* L) {
  std::string_view der = check_text(L, 1);
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  STACK_OF(X509)* chain = parse_der_chain(der);
  if (!chain) return push_openssl_failure(L, "d2i_X509_bio()");
  bool good = show_chain(*ssl, chain);
  free_chain(chain);
  return good ? push_true(L) : push_openssl_failure(L, "SSL_use_certificate()");
}

int set_priv_key(lua_State* L) {
  EVP_PKEY* key = lua_isnil(L, 1) ? nullptr : check_key(L, 1);
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  if (!key) return push_failure(L, "invalid private key failed");
  return SSL_use_PrivateKey(ssl, key) == 1 ? push_true(L) : push_openssl_failure(L, "SSL_use_PrivateKey()");
}

int set_der_priv_key(lua_State* L) {
  std::string_view der = check_text(L, 1);
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  EVP_PKEY* key = parse_der_key(der).release();
  if (!key) return push_openssl_failure(L, "d2i_PrivateKey_bio()");
  bool good = SSL_use_PrivateKey(ssl, key) == 1;
  EVP_PKEY_free(key);
  return good ? push_true(L) : push_openssl_failure(L, "SSL_use_PrivateKey()");
}

// -- whether the client is verified --

int keep_result(int, X509_STORE_CTX*) { return 1; }

// What is trusted for this connection alone: the certificates of both chains.
bool trust(SSL& ssl, STACK_OF(X509)* announced, STACK_OF(X509)* trusted) {
  X509_STORE* store = X509_STORE_new();
  bool good = store != nullptr;
  for (STACK_OF(X509)* chain : {announced, trusted})
    for (int i = 0; good && chain && i < sk_X509_num(chain); ++i) good = X509_STORE_add_cert(store, sk_X509_value(chain, i)) == 1;
  if (good) SSL_set0_verify_cert_store(&ssl, store);
  else X509_STORE_free(store);
  STACK_OF(X509_NAME)* names = announced ? sk_X509_NAME_new_null() : nullptr;
  for (int i = 0; good && announced && i < sk_X509_num(announced); ++i)
    sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(sk_X509_value(announced, i))));
  if (names) SSL_set_client_CA_list(&ssl, names);
  return good;
}

// verify_client(ca_certs?, depth?, trusted_certs?)
int verify_client(lua_State* L) {
  lua_settop(L, 3);
  STACK_OF(X509)* announced = lua_isnil(L, 1) ? nullptr : check_chain(L, 1);
  STACK_OF(X509)* trusted = lua_isnil(L, 3) ? nullptr : check_chain(L, 3);
  lua_Integer depth = luaL_optinteger(L, 2, -1);
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  SSL_set_verify(ssl, SSL_VERIFY_PEER, &keep_result);
  SSL_set_verify_depth(ssl, depth < 0 ? 1 : static_cast<int>(depth));
  if ((announced || trusted) && !trust(*ssl, announced, trusted)) return push_openssl_failure(L, "X509_STORE_add_cert()");
  return push_true(L);
}

// -- what a peer's verification came to: ngx.ssl.proxysslverify --

int set_verify_result(lua_State* L) {
  TlsHandshake& handshake = handshake_in(L, HookSet(Hook::proxy_ssl_verify));
  handshake.verify_result = static_cast<long>(luaL_checkinteger(L, 1));
  handshake.overrules = true;
  return push_true(L);
}

int get_verify_result(lua_State* L) {
  lua_pushinteger(L, static_cast<lua_Integer>(handshake_in(L, HookSet(Hook::proxy_ssl_verify)).verify_result));
  return 1;
}

// The certificates that the peer sent, the leaf first.
int get_verify_cert(lua_State* L) {
  TlsHandshake& handshake = handshake_in(L, HookSet(Hook::proxy_ssl_verify));
  STACK_OF(X509)* sent = SSL_get_peer_cert_chain(&handshake.ssl);
  if (!sent) return push_failure(L, "no certificate");
  push_chain(L, X509_chain_up_ref(sent));
  return 1;
}

// -- what a connection is --

int server_name(lua_State* L) {
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name) lua_pushstring(L, name);
  else lua_pushnil(L);
  return 1;
}

int server_port(lua_State* L) {
  if (!current_ssl(L)) return push_no_ssl(L);
  const Addr& local = *client_scope(L).request->local_addr;
  if (local.family() == Addr::Family::local) return push_failure(L, "unix domain has no port");
  lua_pushinteger(L, local.port());
  return 1;
}

// The bytes of an address and its kind.
int push_address(lua_State* L, const Addr& address) {
  sockaddr_storage storage;
  address.to_sockaddr(storage);
  switch (address.family()) {
    case Addr::Family::inet:
      push_text(L, {reinterpret_cast<const char*>(&reinterpret_cast<sockaddr_in&>(storage).sin_addr), 4});
      lua_pushliteral(L, "inet");
      return 2;
    case Addr::Family::inet6:
      push_text(L, {reinterpret_cast<const char*>(&reinterpret_cast<sockaddr_in6&>(storage).sin6_addr), 16});
      lua_pushliteral(L, "inet6");
      return 2;
    default: break;
  }
  lua_pushstring(L, reinterpret_cast<sockaddr_un&>(storage).sun_path);
  lua_pushliteral(L, "unix");
  return 2;
}

int push_no_address(lua_State* L) {
  lua_pushnil(L);
  return 1 + push_no_ssl(L);
}

int raw_server_addr(lua_State* L) { return current_ssl(L) ? push_address(L, *client_scope(L).request->local_addr) : push_no_address(L); }
int raw_client_addr(lua_State* L) { return current_ssl(L) ? push_address(L, *client_scope(L).request->client_addr) : push_no_address(L); }

int get_tls1_version(lua_State* L) {
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  lua_pushinteger(L, SSL_version(ssl));
  return 1;
}

// Of the handshake with a peer, in its hooks.
int get_peer_tls1_version(lua_State* L) {
  constexpr HookSet peer_hooks(Hook::proxy_ssl_certificate, Hook::proxy_ssl_verify);
  return peer_hooks.has(Scope::current().hook) ? get_tls1_version(L) : push_no_ssl(L);
}

using Random = size_t (*)(const SSL*, unsigned char*, size_t);
int push_random(lua_State* L, Random read) {
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  unsigned char bytes[32];
  size_t wanted = static_cast<size_t>(luaL_optinteger(L, 1, sizeof bytes));
  if (wanted == 0) {
    lua_pushinteger(L, static_cast<lua_Integer>(read(ssl, nullptr, 0)));
    return 1;
  }
  size_t count = read(ssl, bytes, std::min(wanted, sizeof bytes));
  push_text(L, {reinterpret_cast<const char*>(bytes), count});
  return 1;
}
int get_client_random(lua_State* L) { return push_random(L, &SSL_get_client_random); }
int get_server_random(lua_State* L) { return push_random(L, &SSL_get_server_random); }

int get_shared_ssl_ciphers(lua_State* L) {
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  std::string& text = Scope::current().vm.text;
  text.resize(4096);
  const char* list = SSL_get_shared_ciphers(ssl, text.data(), static_cast<int>(text.size()));
  lua_pushstring(L, list ? list : "");
  return 1;
}

// export_keying_material(length, label, context?): RFC 5705, RFC 8446 section 7.5
int export_keying_material(lua_State* L) {
  constexpr lua_Integer bytes_max = 1024 * 16;
  lua_Integer bytes = luaL_checkinteger(L, 1);
  std::string_view label = check_text(L, 2), context = check_text_or_nil(L, 3);
  if (bytes < 1 || bytes > bytes_max) return luaL_argerror(L, 1, "bad length");
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  std::string& text = Scope::current().vm.text;
  text.resize(static_cast<size_t>(bytes));
  int good = SSL_export_keying_material(ssl, reinterpret_cast<unsigned char*>(text.data()), text.size(), label.data(), label.size(),
                                        reinterpret_cast<const unsigned char*>(context.data()), context.size(), !lua_isnoneornil(L, 3));
  if (good != 1) return push_openssl_failure(L, "SSL_export_keying_material()");
  push_text(L, text);
  return 1;
}

int get_req_ssl_pointer(lua_State* L) {
  SSL* ssl = current_ssl(L);
  if (!ssl) return push_no_ssl(L);
  push_pointer(L, ssl);
  return 1;
}

constexpr luaL_Reg functions[] = {
    {"parse_pem_cert", lua_parse_pem_cert},
    {"parse_der_cert", lua_parse_der_cert},
    {"parse_pem_priv_key", lua_parse_pem_key},
    {"parse_der_priv_key", lua_parse_der_key},
    {"cert_pem_to_der", cert_pem_to_der},
    {"priv_key_pem_to_der", priv_key_pem_to_der},
    {"clear_certs", clear_certs},
    {"set_cert", set_cert},
    {"set_der_cert", set_der_cert},
    {"set_priv_key", set_priv_key},
    {"set_der_priv_key", set_der_priv_key},
    {"verify_client", verify_client},
    {"set_verify_result", set_verify_result},
    {"get_verify_result", get_verify_result},
    {"get_verify_cert", get_verify_cert},
    {"server_name", server_name},
    {"server_port", server_port},
    {"raw_server_addr", raw_server_addr},
    {"raw_client_addr", raw_client_addr},
    {"get_tls1_version", get_tls1_version},
    {"get_peer_tls1_version", get_peer_tls1_version},
    {"get_client_random", get_client_random},
    {"get_server_random", get_server_random},
    {"get_shared_ssl_ciphers", get_shared_ssl_ciphers},
    {"export_keying_material", export_keying_material},
    {"get_req_ssl_pointer", get_req_ssl_pointer},
    {nullptr, nullptr},
};

}  // namespace

void add_tls(lua_State* L) {
  lua_createtable(L, 0, 48);
  set_functions(L, functions);
  add_tls_hello(L);
  add_ocsp(L);
  lua_setfield(L, -2, "_tls");
}

}  // namespace fairlead::lua
