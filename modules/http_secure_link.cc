// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// secure_link: $secure_link says whether a link carries the right MD5 of what the configuration names, and whether its time is over. The
// sums are compared in constant time. Owns nothing.
#include <openssl/crypto.h>

#include <vector>

#include "core/base/clock.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/conf/template.h"
#include "http/request/audit.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

struct SecureLinkConf {
  Template link;           // "md5[,expires]"
  Template hashed;         // what the MD5 is of
  std::string_view secret; // the older form: /PREFIX/MD5/LINK
};

// Filled when $secure_link is evaluated.
struct LinkTime {
  std::string_view expires;
};

bool is_sum(const Md5& sum, std::string_view bytes) {
  return bytes.size() == sum.size() && CRYPTO_memcmp(sum.data(), bytes.data(), sum.size()) == 0;
}

// /PREFIX/HEX/LINK of the request line, HEX being the MD5 of LINK and the secret: the variable is LINK.
Value check_secret(Request& request, std::string_view secret) {
  std::string_view uri = request.head.request_uri;
  size_t first = uri.find('/', 1);
  if (first == std::string_view::npos) return Value::missing();
  size_t second = uri.find('/', first + 1);
  if (second == std::string_view::npos) return Value::missing();
  std::string_view digits = uri.substr(first + 1, second - first - 1), link = uri.substr(second + 1);
  Md5 sum = md5(request.arena().join({link, secret}));
  if (digits.size() != 2 * sum.size() || link.empty()) return Value::missing();
  auto bytes = hex_decode(digits);
  return bytes && is_sum(sum, *bytes) ? Value{link} : Value::missing();
}

// "1": the sum is right and the time has not come; "0": it has; missing: the sum is wrong.
Value check_link(Request& request, const SecureLinkConf& own) {
  std::string_view text = own.link.evaluate(request);
  int64_t expires = 0;
  size_t comma = text.find(',');
  if (comma != std::string_view::npos) {
    std::string_view when = text.substr(comma + 1);
    auto seconds = parse_decimal(when);
    if (!seconds || *seconds == 0 || *seconds > INT64_MAX) return Value::missing();
    expires = static_cast<int64_t>(*seconds);
    request.slot<LinkTime>().expires = when;
    text = text.substr(0, comma);
  }
  constexpr size_t encoded_max = 24;
  if (text.size() > encoded_max) return Value::missing();
  auto bytes = base64_decode(text.substr(0, text.find('=')), Base64::url);
  if (!bytes || !is_sum(md5(own.hashed.evaluate(request)), *bytes)) return Value::missing();
  return Value{expires && expires < clock().seconds() ? "0" : "1"};
}

// Asked once per request: the variable keeps its value. What it means for the request is the configuration's matter.
Value get_secure_link(Session& session, uintptr_t) {
  Request& request = as_request(session);
  const SecureLinkConf& own = conf<SecureLinkConf>(request);
  bool has_secret = own.secret.data() != nullptr;
  if (!has_secret && (!own.link.is_set() || !own.hashed.is_set())) return Value::missing();
  Value value = has_secret ? check_secret(request, own.secret) : check_link(request, own);
  bool is_expired = !has_secret && value.found && value.text == "0";
  bool is_good = value.found && !is_expired;
  audit(request, {"secure_link", is_good ? Decided::allowed : Decided::denied, is_expired ? "expired" : "sum", {}});
  return value;
}

Value get_expires(Session& session, uintptr_t) {
  const LinkTime* time = session.find_slot<LinkTime>();
  return time && !time->expires.empty() ? Value{time->expires} : Value::missing();
}

ConfResult<Unit> finish_secure_link(Block& block, SecureLinkConf& own) {
  if (own.secret.data() && (own.link.is_set() || own.hashed.is_set()))
    return std::string("\"secure_link_secret\" cannot be mixed with \"secure_link\" and \"secure_link_md5\"") + at_place(block.place());
  return Unit();
}

constexpr Directive rows[] = {
    slot<SecureLinkConf, &SecureLinkConf::link>("secure_link", in_http_any,
        "The text with the MD5 of a link, in base64url, and perhaps a comma and the time until which it holds."),
    slot<SecureLinkConf, &SecureLinkConf::hashed>("secure_link_md5", in_http_any, "The text that the MD5 has to be of."),
    slot<SecureLinkConf, &SecureLinkConf::secret>("secure_link_secret", in_http_any,
        "The word for links of the form /PREFIX/MD5/LINK, the MD5 in hex of LINK and the word.").takes("word"),
};
constexpr VariableDef variables[] = {{.name = "secure_link", .get = get_secure_link, .engines = http_variable},
                                     {.name = "secure_link_expires", .get = get_expires, .flags = variable_volatile,
                                      .engines = http_variable}};

}  // namespace

extern constinit const Module http_secure_link_module = {.name = "http_secure_link",
                                                         .conf = conf_of<SecureLinkConf>,
                                                         .directives = rows,
                                                         .variables = variables,
                                                         .finish = finish_of<finish_secure_link, SecureLinkConf>};

}  // namespace fairlead
