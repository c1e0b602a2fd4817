// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_grpc/cors.h"

#include <algorithm>

#include "core/base/text.h"
#include "http/request/response.h"

namespace fairlead::http::grpc {
namespace {

constexpr std::string_view any_origin = "*";
constexpr std::string_view allow_origin = "Access-Control-Allow-Origin", expose_headers = "Access-Control-Expose-Headers";
constexpr std::string_view request_method = "Access-Control-Request-Method", request_headers = "Access-Control-Request-Headers";
constexpr std::string_view preflight_seconds = "7200";  // the most that all browsers take

// As browsers write one: "https://app.example.org:8443".
bool is_origin(std::string_view text) {
  size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || scheme == 0) return false;
  std::string_view host = text.substr(scheme + 3);
  auto is_foreign = [](char c) { return c <= ' ' || c == '/' || c == '*' || c == ',' || (c >= 'A' && c <= 'Z'); };
  return !host.empty() && std::none_of(host.begin(), host.end(), is_foreign);
}

bool allows_any(const GrpcConf& own) { return own.web_origins.front() == any_origin; }

// What is said to the page; empty: nothing.
std::string_view allowed_origin(const Request& request) {
  const GrpcConf& own = fairlead::conf<GrpcConf>(request);
  const Headers::Field* origin = request.head.headers.find("Origin");
  if (!origin) return {};
  if (allows_any(own)) return any_origin;
  bool is_listed = std::find(own.web_origins.begin(), own.web_origins.end(), origin->value) != own.web_origins.end();
  return is_listed ? origin->value : std::string_view();
}

bool is_preflight(const Request& request) {
  const Headers& fields = request.head.headers;
  return request.head.method == Method::options && fields.find("Origin") && fields.find(request_method);
}

}  // namespace

ConfResult<Unit> set_web_origins(Line& line, GrpcConf& own) {
  own.web_origins.clear();
  bool is_single = line.word_count() == 1;
  if (is_single && line.word(1) == "off") return Unit();
  for (size_t i = 1; i <= line.word_count(); ++i) {
    bool is_any = is_single && line.word(i) == any_origin;
    if (!is_any && !is_origin(line.word(i))) return line.invalid_parameter(i);
    own.web_origins.push_back(line.word(i));
  }
  return Unit();
}

bool answers_origins(const Block& block) {
  const GrpcConf& own = fairlead::conf<GrpcConf>(block);
  return own.pass.is_set && own.web && !own.web_origins.empty();
}

Verdict answer_preflight(Request& request) {
  if (request.is_subrequest || !is_preflight(request)) return Verdict::next();
  if (allowed_origin(request).empty()) return Verdict::status(403);
  set_text(request, 204, {}, {});
  Headers& fields = request.response.head.headers;
  fields.add("Access-Control-Allow-Methods", "POST");
  std::string_view wanted = request.head.headers.joined(request_headers);
  if (!wanted.empty()) fields.add("Access-Control-Allow-Headers", wanted);
  fields.add("Access-Control-Max-Age", preflight_seconds);
  return Verdict::respond();
}

void tell_origin(Request& request) {
  Headers& fields = request.response.head.headers;
  std::string_view origin = allowed_origin(request);
  fields.remove(allow_origin);
  if (!allows_any(fairlead::conf<GrpcConf>(request))) fields.add(KnownHeader::vary, "Vary", "Origin");
  if (origin.empty()) return;
  fields.add(allow_origin, origin);
  if (request.head.method != Method::options) fields.add(expose_headers, "grpc-status, grpc-message");
}

}  // namespace fairlead::http::grpc
