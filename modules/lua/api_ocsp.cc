// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.ocsp for scripts: what to ask about a certificate, whether the answer is good, sending it to the client. Asking is the script's.
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "modules/lua/api_tls.h"

namespace fairlead::lua {
namespace {

constexpr long skew_s = 300;  // that responders' clocks may be off

void free_chain(STACK_OF(X509)* chain) { sk_X509_pop_free(chain, X509_free); }
using ChainPtr = std::unique_ptr<STACK_OF(X509), OpensslFree<free_chain>>;
using RequestPtr = std::unique_ptr<OCSP_REQUEST, OpensslFree<OCSP_REQUEST_free>>;
using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, OpensslFree<OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, OpensslFree<OCSP_BASICRESP_free>>;
using StorePtr = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;

// All of these own memory, so they raise nothing: `text` is the result, or the reason why there is none (then false).
struct Answer {
  std::string& text;
  bool fail(std::string_view reason) {
    text = reason;
    return false;
  }
};

// A certificate and its issuer.
bool parse_pair(std::string_view der, ChainPtr& chain, Answer& answer) {
  chain.reset(parse_der_chain(der));
  ERR_clear_error();
  if (!chain) return answer.fail("d2i_X509_bio() failed");
  if (sk_X509_num(chain.get()) < 2) return answer.fail("no issuer certificate in chain");
  if (X509_check_issued(sk_X509_value(chain.get(), 1), sk_X509_value(chain.get(), 0)) != X509_V_OK)
    return answer.fail("issuer certificate not next to leaf");
  return true;
}

OCSP_CERTID* id_of(STACK_OF(X509)* chain) { return OCSP_cert_to_id(nullptr, sk_X509_value(chain, 0), sk_X509_value(chain, 1)); }

// The URL; empty: the certificate names none.
bool find_responder(std::string_view der, Answer& answer) {
  ChainPtr chain;
  if (!parse_pair(der, chain, answer)) return false;
  answer.text.clear();
  STACK_OF(OPENSSL_STRING)* urls = X509_get1_ocsp(sk_X509_value(chain.get(), 0));
  if (!urls) return true;
  answer.text = sk_OPENSSL_STRING_value(urls, 0);
  X509_email_free(urls);
  return true;
}

bool make_request(std::string_view der, Answer& answer) {
  ChainPtr chain;
  if (!parse_pair(der, chain, answer)) return false;
  RequestPtr request(OCSP_REQUEST_new());
  if (!OCSP_request_add0_id(request.get(), id_of(chain.get()))) return answer.fail("OCSP_request_add0_id() failed");
  answer.text.resize(static_cast<size_t>(i2d_OCSP_REQUEST(request.get(), nullptr)));
  auto* at = reinterpret_cast<unsigned char*>(answer.text.data());
  i2d_OCSP_REQUEST(request.get(), &at);
  return true;
}

bool check_status(OCSP_BASICRESP& basic, STACK_OF(X509)* chain, Answer& answer) {
  OCSP_CERTID* id = id_of(chain);
  int status = 0;
  ASN1_GENERALIZEDTIME *from = nullptr, *until = nullptr;
  int found = OCSP_resp_find_status(&basic, id, &status, nullptr, nullptr, &from, &until);
  OCSP_CERTID_free(id);
  if (found != 1) return answer.fail("certificate status not found in the OCSP response");
  if (status != V_OCSP_CERTSTATUS_GOOD)
    return answer.fail(std::string("certificate status \"") + OCSP_cert_status_str(status) + "\" in the OCSP response");
  if (OCSP_check_validity(from, until, skew_s, -1) != 1) return answer.fail("OCSP_check_validity failed");
  return true;
}

// A good answer about the leaf, signed for its issuer.
bool check_response(std::string_view response_der, std::string_view chain_der, Answer& answer) {
  ChainPtr chain;
  const auto* at = reinterpret_cast<const unsigned char*>(response_der.data());
  ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(response_der.size())));
  if (!response) return answer.fail("d2i_OCSP_RESPONSE() failed");
  int state = OCSP_response_status(response.get());
  if (state != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return answer.fail("OCSP response not successful (" + std::to_string(state) + ": " + OCSP_response_status_str(state) + ")");
  BasicPtr basic(OCSP_response_get1_basic(response.get()));
  if (!basic) return answer.fail("OCSP_response_get1_basic() failed");
  if (!parse_pair(chain_der, chain, answer)) return false;
  StorePtr store(X509_STORE_new());
  for (int i = 1; i < sk_X509_num(chain.get()); ++i) X509_STORE_add_cert(store.get(), sk_X509_value(chain.get(), i));
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  if (OCSP_basic_verify(basic.get(), chain.get(), store.get(), OCSP_NOVERIFY | OCSP_TRUSTOTHER) != 1 &&
      OCSP_basic_verify(basic.get(), chain.get(), store.get(), 0) != 1)
    return answer.fail("OCSP_basic_verify() failed");
  return check_status(*basic, chain.get(), answer);
}

int push_answer(lua_State* L, bool good, std::string& text) {
  ERR_clear_error();
  if (!good) return push_failure(L, text);
  push_text(L, text);
  return 1;
}

int get_responder(lua_State* L) {
  std::string_view der = check_text(L, 1);
  lua_Integer most = luaL_optinteger(L, 2, 0);
  std::string& text = Scope::current().vm.text;
  Answer answer{text};
  bool good = find_responder(der, answer);
  if (good && text.empty()) {
    lua_pushnil(L);
    return 1;
  }
  bool is_cut = good && most > 0 && text.size() > static_cast<size_t>(most);
  if (is_cut) text.resize(static_cast<size_t>(most));
  int count = push_answer(L, good, text);
  if (!is_cut) return count;
  lua_pushliteral(L, "truncated");
  return 2;
}

int create_request(lua_State* L) {
  std::string_view der = check_text(L, 1);
  lua_Integer most = luaL_optinteger(L, 2, 0);
  std::string& text = Scope::current().vm.text;
  Answer answer{text};
  bool good = make_request(der, answer);
  if (good && most > 0 && text.size() > static_cast<size_t>(most)) return push_failure(L, "output buffer too small");
  return push_answer(L, good, text);
}

int validate_response(lua_State* L) {
  std::string_view response = check_text(L, 1), chain = check_text(L, 2);
  std::string& text = Scope::current().vm.text;
  Answer answer{text};
  bool good = check_response(response, chain, answer);
  return good ? push_true(L) : push_answer(L, false, text);
}

// For this handshake alone, if the client asked for one.
int set_status(lua_State* L) {
  std::string_view response = check_text(L, 1);
  TlsHandshake& handshake = handshake_in(L, HookSet(Hook::ssl_certificate));
  if (SSL_get_tlsext_status_type(&handshake.ssl) != TLSEXT_STATUSTYPE_ocsp) {
    lua_pushboolean(L, 1);
    lua_pushliteral(L, "no status req");
    return 2;
  }
  void* copy = OPENSSL_memdup(response.data(), response.size());
  if (!copy) return push_failure(L, "no memory");
  SSL_set_tlsext_status_ocsp_resp(&handshake.ssl, static_cast<unsigned char*>(copy), static_cast<long>(response.size()));
  return push_true(L);
}

constexpr luaL_Reg functions[] = {
    {"ocsp_get_responder", get_responder},
    {"ocsp_create_request", create_request},
    {"ocsp_validate_response", validate_response},
    {"ocsp_set_status", set_status},
    {nullptr, nullptr},
};

}  // namespace

void add_ocsp(lua_State* L) { set_functions(L, functions); }

}  // namespace fairlead::lua
