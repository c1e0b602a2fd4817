// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/ocsp.h"

#include <openssl/err.h>
#include <openssl/http.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "core/base/encoding.h"
#include "core/base/escape.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "event/dns/resolver_conf.h"
#include "event/loop/child.h"
#include "event/net/connector.h"
#include "event/tls/pem.h"
#include "event/worker.h"

namespace fairlead {

namespace {

// Largest answer of a responder.
constexpr size_t response_bytes_max = 100 * 1024;
// Up to here a request is asked for with GET: caches keep the answer, and there are responders that know nothing else (RFC 5019 section 5).
constexpr size_t get_path_bytes_max = 255;
// How much clocks may differ, seconds.
constexpr long clock_skew_s = 300;
constexpr int64_t endless_valid_s = 3600;

using RequestPtr = std::unique_ptr<OCSP_REQUEST, OpensslFree<OCSP_REQUEST_free>>;
using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, OpensslFree<OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, OpensslFree<OCSP_BASICRESP_free>>;
using CertificateIdPtr = std::unique_ptr<OCSP_CERTID, OpensslFree<OCSP_CERTID_free>>;
using HttpPtr = std::unique_ptr<OSSL_HTTP_REQ_CTX, OpensslFree<OSSL_HTTP_REQ_CTX_free>>;

CertificateIdPtr id_of(const OcspQuestion& question) {
  return CertificateIdPtr(OCSP_cert_to_id(nullptr, question.certificate, question.issuer));
}

// Where a request goes that is asked for with GET (RFC 6960 appendix A.1): below the responder's path, as nginx puts it together.
std::string get_path(const OcspResponder& responder, const OCSP_REQUEST& request) {
  unsigned char* der = nullptr;
  int size = i2d_OCSP_REQUEST(&request, &der);
  std::string path = responder.path;
  if (!path.ends_with('/')) path += '/';
  escape_append(Escape::uri_component, path, base64({reinterpret_cast<const char*>(der), size > 0 ? static_cast<size_t>(size) : 0}));
  OPENSSL_free(der);
  return path;
}

BioPtr open_memory() {
  BioPtr memory(BIO_new(BIO_s_mem()));
  if (memory) BIO_set_mem_eof_return(memory.get(), -1);  // empty means "not yet", not "over"
  return memory;
}

// The exchange with a responder as far as bytes in memory go.
class OcspHttp {
 public:
  ConfResult<Unit> begin(const OcspResponder& responder, const OcspQuestion& question) {
    RequestPtr request(OCSP_REQUEST_new());
    CertificateIdPtr id = id_of(question);
    if (!request || !id || !OCSP_request_add0_id(request.get(), id.get())) return openssl_failure("OCSP_request_add0_id()");
    id.release();  // the request's now
    out_ = open_memory();
    in_ = open_memory();
    http_.reset(OSSL_HTTP_REQ_CTX_new(out_.get(), in_.get(), 0));
    std::string path = get_path(responder, *request);
    bool is_post = path.size() > get_path_bytes_max;
    if (is_post) path = responder.path;
    constexpr int asn1 = 1, no_timeout = 0, no_keepalive = 0;
    bool ok = http_ && OSSL_HTTP_REQ_CTX_set_request_line(http_.get(), is_post, nullptr, nullptr, path.c_str()) &&
              OSSL_HTTP_REQ_CTX_add1_header(http_.get(), "Host", responder.host.c_str()) &&
              OSSL_HTTP_REQ_CTX_set_expected(http_.get(), "application/ocsp-response", asn1, no_timeout, no_keepalive);
    if (ok && is_post)
      ok = OSSL_HTTP_REQ_CTX_set1_req(http_.get(), "application/ocsp-request", ASN1_ITEM_rptr(OCSP_REQUEST),
                                      reinterpret_cast<const ASN1_VALUE*>(request.get()));
    if (!ok) return openssl_failure("OSSL_HTTP_REQ_CTX_set_request_line()");
    OSSL_HTTP_REQ_CTX_set_max_response_length(http_.get(), response_bytes_max);
    return Unit();
  }

  enum class Step : uint8_t { done, failed, need_read };
  Step step() {
    ERR_clear_error();
    int returned = OSSL_HTTP_REQ_CTX_nbio(http_.get());
    return returned == 1 ? Step::done : returned == 0 ? Step::failed : Step::need_read;
  }
  void take_request(Chain& to) {
    to.push_back(Slice::copy_of(bio_text(*out_)));
    (void)BIO_reset(out_.get());
  }
  void give(std::string_view bytes) { BIO_write(in_.get(), bytes.data(), static_cast<int>(bytes.size())); }
  void give_end() { BIO_set_mem_eof_return(in_.get(), 0); }
  std::string response() { return std::string(bio_text(*OSSL_HTTP_REQ_CTX_get0_mem_bio(http_.get()))); }

 private:
  BioPtr out_, in_;
  HttpPtr http_;
};

// Sends the request, reads the reply and judges it. It has no deadline of its own.
Task<ConfResult<OcspVerdict>> converse(Connection& connection, OcspHttp& http, const OcspQuestion& question) {
  OcspHttp::Step step = http.step();
  Chain request;
  http.take_request(request);
  auto written = co_await connection.write(request, 0);
  if (!written) co_return std::string(written.error().what);
  while (step == OcspHttp::Step::need_read) {
    co_await connection.readable(0);
    IoResult got = connection.fill(4096);
    if (got.status == IoStatus::again) continue;
    if (got.status != IoStatus::ok) http.give_end();
    http.give(connection.unread());
    connection.consume(connection.unread().size());
    step = http.step();
    if (got.status != IoStatus::ok && step == OcspHttp::Step::need_read) co_return std::string("the responder closed the connection");
  }
  if (step == OcspHttp::Step::failed) co_return openssl_failure("reading the responder's reply");
  co_return judge_ocsp(http.response(), question);
}

Task<ConfResult<OcspVerdict>> ask(Worker& worker, const ResolverConf& names, OcspResponder responder, OcspQuestion question) {
  OcspHttp http;
  auto begun = http.begin(responder, question);
  if (!begun) co_return std::move(begun.error());
  Addr address;
  auto literal = parse_addr(responder.host, responder.port, AddrUse::connect);
  if (literal && !literal->is_name()) {
    address = literal->addr;
  } else {
    Resolver* resolver = names.off ? nullptr : worker.state<Resolvers>().of(names);
    if (!resolver) co_return format("no resolver defined to resolve {}", responder.host);
    DnsFamilies families;
    auto answer = co_await resolver->resolve(responder.host, families, worker.loop().deadline(names.timeout));
    if (!answer) co_return resolve_error_text(responder.host, answer.error());
    address = answer->addresses.front();
    address.set_port(responder.port);
  }
  ConnectOptions options;
  PoolKey unpooled;
  auto connected = co_await connect(worker.loop(), address, options, unpooled, 0);
  if (!connected) co_return std::string(connected.error().what);
  auto verdict = co_await converse((*connected)->connection, http, question);
  co_return std::move(verdict);
}

}  // namespace

ConfResult<OcspResponder> OcspResponder::parse(std::string_view url) {
  if (!starts_with_nocase(url, "http://")) return format("invalid URL prefix in OCSP responder \"{}\"", url);
  std::string_view rest = url.substr(7);
  size_t slash = rest.find('/');
  auto authority = parse_addr(rest.substr(0, slash), 80, AddrUse::connect);
  if (!authority) return format("{} in OCSP responder \"{}\"", authority.error(), url);
  OcspResponder responder;
  responder.port = authority->port;
  std::string_view host = rest.substr(0, slash);
  if (authority->has_port) host = host.substr(0, host.rfind(':'));
  responder.host = std::string(host);
  responder.path = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  return responder;
}

ConfResult<OcspResponder> OcspResponder::of(X509& certificate) {
  STACK_OF(OPENSSL_STRING)* urls = X509_get1_ocsp(&certificate);
  if (!urls || sk_OPENSSL_STRING_num(urls) == 0) {
    X509_email_free(urls);
    return std::string("no OCSP responder URL");
  }
  std::string url = sk_OPENSSL_STRING_value(urls, 0);
  X509_email_free(urls);
  return parse(url);
}

X509Ptr find_issuer(X509& certificate, STACK_OF(X509)* chain, X509_STORE* store) {
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509* one = sk_X509_value(chain, i);
    if (X509_check_issued(one, &certificate) == X509_V_OK) return share(one);
  }
  X509* issuer = nullptr;
  X509_STORE_CTX* search = X509_STORE_CTX_new();
  if (search && X509_STORE_CTX_init(search, store, nullptr, nullptr) == 1) X509_STORE_CTX_get1_issuer(&issuer, search, &certificate);
  X509_STORE_CTX_free(search);
  ERR_clear_error();
  return X509Ptr(issuer);
}

ConfResult<OcspVerdict> judge_ocsp(std::string_view response, const OcspQuestion& question) {
  ERR_clear_error();
  const auto* bytes = reinterpret_cast<const unsigned char*>(response.data());
  ResponsePtr parsed(d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(response.size())));
  if (!parsed) return openssl_failure("d2i_OCSP_RESPONSE()");
  int status = OCSP_response_status(parsed.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return format("OCSP response not successful ({}: {})", status, OCSP_response_status_str(status));
  BasicPtr basic(OCSP_response_get1_basic(parsed.get()));
  if (!basic) return openssl_failure("OCSP_response_get1_basic()");
  // The issuer may sign itself; a delegate's certificate comes with the answer (RFC 6960 section 4.2.2.2).
  STACK_OF(X509)* known = sk_X509_new_null();
  sk_X509_push(known, question.issuer);
  int verified = OCSP_basic_verify(basic.get(), known, question.trusted, question.verify ? OCSP_TRUSTOTHER : OCSP_NOVERIFY);
  sk_X509_free(known);
  if (verified != 1) return openssl_failure("OCSP_basic_verify()");
  CertificateIdPtr id = id_of(question);
  int found = V_OCSP_CERTSTATUS_UNKNOWN;
  ASN1_GENERALIZEDTIME *this_update = nullptr, *next_update = nullptr;
  if (!id || OCSP_resp_find_status(basic.get(), id.get(), &found, nullptr, nullptr, &this_update, &next_update) != 1)
    return std::string("certificate status not found in the OCSP response");
  if (OCSP_check_validity(this_update, next_update, clock_skew_s, -1) != 1) return openssl_failure("OCSP_check_validity()");
  OcspVerdict verdict;
  verdict.status = found == V_OCSP_CERTSTATUS_GOOD      ? OcspStatus::good
                   : found == V_OCSP_CERTSTATUS_REVOKED ? OcspStatus::revoked
                                                        : OcspStatus::unknown;
  verdict.response = std::string(response);
  verdict.valid_until = next_update ? seconds_of(next_update) : time(nullptr) + endless_valid_s;
  return verdict;
}

Task<ConfResult<OcspVerdict>> ask_ocsp(Worker& worker, const ResolverConf& names, OcspResponder responder, OcspQuestion question,
                                       uint64_t timeout_ms) {
  Task<ConfResult<OcspVerdict>> asking = ask(worker, names, std::move(responder), question);
  Deadline<ConfResult<OcspVerdict>> bounded(worker.loop(), std::move(asking), worker.loop().deadline(timeout_ms));
  auto answered = co_await bounded;
  if (!answered) co_return std::string("the OCSP responder timed out");
  co_return std::move(*answered);
}

}  // namespace fairlead
