// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Which requests get gzip, as the configuration says it once for all modules that compress, decompress or have compressed files:
// gzip_http_version, gzip_proxied, gzip_disable, gzip_vary.
#pragma once

#include <memory>
#include <vector>

#include "core/base/regex.h"
#include "core/conf/value.h"
#include "http/request/request.h"

namespace fairlead::http {

enum class GzipProxied : uint32_t {
  off = 1, expired = 2, no_cache = 4, no_store = 8, private_ = 16, no_last_modified = 32, no_etag = 64, auth = 128, any = 256,
};
enum class GzipVersion : uint8_t { http_1_0, http_1_1 };

struct GzipRulesConf {
  bool vary = false;
  GzipVersion least_version = GzipVersion::http_1_1;
  Flags<GzipProxied> proxied{static_cast<uint32_t>(GzipProxied::off)};
  std::vector<std::shared_ptr<const Regex>> disabled_agents;
  bool disable_msie6 = false;
};

extern const Module http_gzip_rules_module;

// Whether this response may be gzip for this request: the client names it, and the location's rules do not speak against it.
bool may_be_gzip(const Request& request);

// For a response that other clients get in another coding: says so, if gzip_vary is on.
void vary_by_encoding(Request& request);

// The bytes of another coding are another representation, equivalent but not the same (RFC 9110 section 8.8.1): makes the ETag a weak one,
// or drops one that cannot be.
void weaken_tag(Request& request);

}  // namespace fairlead::http

namespace fairlead {
template <>
struct EnumWords<http::GzipProxied> {
  using P = http::GzipProxied;
  static constexpr EnumWord<P> all[] = {{"off", P::off},         {"expired", P::expired},
                                        {"no-cache", P::no_cache}, {"no-store", P::no_store},
                                        {"private", P::private_},  {"no_last_modified", P::no_last_modified},
                                        {"no_etag", P::no_etag},   {"auth", P::auth},
                                        {"any", P::any}};
};
template <>
struct EnumWords<http::GzipVersion> {
  static constexpr EnumWord<http::GzipVersion> all[] = {{"1.0", http::GzipVersion::http_1_0}, {"1.1", http::GzipVersion::http_1_1}};
};
}  // namespace fairlead
