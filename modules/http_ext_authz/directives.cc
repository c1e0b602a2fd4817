// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The directives of ext_authz.
#include <algorithm>
#include <iterator>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "http/message/headers.h"
#include "modules/http_ext_authz/conf.h"

namespace fairlead::http::ext_authz {
namespace {

struct Scheme {
  std::string_view text;
  bool is_grpc, is_secure;
  uint16_t port;  // 0: it has to be given
};
constexpr Scheme schemes[] = {{"http://", false, false, 80}, {"https://", false, true, 443}, {"grpc://", true, false, 0},
                              {"grpcs://", true, true, 0}};

// "http://host[:port][/prefix]", "grpc://host:port", or with an s behind them, with "unix:/path" as a host (then ":/prefix").
ConfResult<Unit> set_service(Line& line, ExtAuthzConf& own) {
  own.service = Service();
  std::string_view url = line.word(1);
  if (url == "off") return Unit();
  Service& service = own.service;
  auto begins_so = [&](const Scheme& scheme) { return starts_with_nocase(url, scheme.text); };
  const auto* scheme = std::find_if(std::begin(schemes), std::end(schemes), begins_so);
  if (scheme == std::end(schemes)) return std::string("invalid URL prefix");
  service.is_set = true;
  service.scheme = scheme->text;
  service.speaks_grpc = scheme->is_grpc;
  service.is_secure = scheme->is_secure;
  std::string_view rest = url.substr(scheme->text.size());
  bool is_local = rest.starts_with("unix:");
  size_t end = is_local ? rest.find(':', 5) : rest.find('/');
  std::string_view address = rest.substr(0, end);
  if (end != std::string_view::npos) service.prefix = rest.substr(is_local ? end + 1 : end);
  while (service.prefix.ends_with('/')) service.prefix.remove_suffix(1);
  if (service.speaks_grpc && end != std::string_view::npos) return format("invalid host in upstream \"{}\"", rest);
  auto parsed = parse_addr(address, scheme->port, AddrUse::connect);
  if (!parsed) return format("{} in upstream \"{}\"", parsed.error(), rest);
  service.has_port = parsed->has_port;
  service.authority = is_local ? std::string_view("localhost") : address;
  auto group = implicit_group(line, address, scheme->port);
  if (!group) return group.error();
  service.group = *group;
  return Unit();
}

ConfResult<Unit> set_on_failure(Line& line, ExtAuthzConf& own) {
  std::string_view word = line.word(1);
  own.on_failure = OnFailure();
  own.on_failure.open = word == "open";
  if (word == "open" || word == "close") return Unit();
  auto status = parse_decimal(word);
  if (!status || *status < 400 || *status > 599) return line.invalid_value(1);
  own.on_failure.status = static_cast<uint16_t>(*status);
  return Unit();
}

ConfResult<Unit> add_passed(Line& line, ExtAuthzConf& own) {
  for (size_t i = 1; i < line.words().size(); ++i) {
    if (!is_token(line.word(i))) return line.invalid_parameter(i);
    own.passed_fields.push_back(line.word(i));
  }
  return Unit();
}

ConfResult<Unit> add_copied(Line& line, ExtAuthzConf& own) {
  std::string_view where = line.word(1);
  bool to_client = where == "to_client", appends = where == "to_upstream_append";
  if (!to_client && !appends && where != "to_upstream") return line.invalid_parameter(1);
  for (size_t i = 2; i < line.words().size(); ++i) {
    if (!is_token(line.word(i))) return line.invalid_parameter(i);
    if (to_client) own.to_client.push_back(line.word(i));
    else own.to_upstream.push_back({line.word(i), appends});
    if (!to_client && !appends && may_change(line.word(i))) own.reserved.push_back(line.word(i));
  }
  return Unit();
}

ConfResult<Unit> add_context(Line& line, ExtAuthzConf& own) {
  auto value = compile_word(line, 2);
  if (!value) return value.error();
  own.context.push_back({line.word(1), std::move(*value)});
  return Unit();
}

constexpr std::array own_rows = {
    custom<set_service, ExtAuthzConf, &ExtAuthzConf::service>(
        "ext_authz", in_http_any, words(1),
        "The policy service that decides who may come in: asked by HTTP with the request's method and normalised path, or by gRPC "
        "(Envoy's Check), either of them over TLS.")
        .takes("http[s]://address[/prefix] | grpc[s]://address | off").usual("off"),
    slot<ExtAuthzConf, &ExtAuthzConf::timeout>("ext_authz_timeout", in_http_any,
                                               "How long the service may take; after that it has failed. 0: no limit."),
    custom<set_on_failure, ExtAuthzConf, &ExtAuthzConf::on_failure>(
        "ext_authz_fail", in_http_any, words(1),
        "What a service that fails or is silent means: the request is let in, or gets 403 or another status.")
        .takes("open | close | code").usual("close"),
    custom<add_passed, ExtAuthzConf, &ExtAuthzConf::passed_fields>(
        "ext_authz_pass_headers", in_http_any, words_from(1),
        "Fields of the client that the service is told. Without it: by HTTP Authorization alone, which always is; by gRPC all.")
        .many().takes("field ..."),
    custom<add_copied, ExtAuthzConf, &ExtAuthzConf::to_upstream, &ExtAuthzConf::reserved, &ExtAuthzConf::to_client>(
        "ext_authz_copy_headers", in_http_any, words_from(2),
        "Fields of an HTTP service's consent that the upstream gets, or gets behind the client's own, or that the client gets. The "
        "client's own of the first never reach the upstream, whoever lets the request in, also where ext_authz is off.")
        .many().takes("to_upstream | to_upstream_append | to_client field ..."),
    slot<ExtAuthzConf, &ExtAuthzConf::set_headers>("ext_authz_set_header", in_http_any,
                                                   "A field of the request to the service; by gRPC, metadata of the call."),
    custom<add_context, ExtAuthzConf, &ExtAuthzConf::context>(
        "ext_authz_context", in_http_any, words(2), "An entry of the context extensions that a gRPC service is told.")
        .many().takes("name value"),
    slot<ExtAuthzConf, &ExtAuthzConf::body>(
        "ext_authz_body", in_http_any,
        "How much of the client's body the service is told; of a longer one its beginning, or that is 413."),
    slot<ExtAuthzConf, &ExtAuthzConf::response_bytes_max>(
        "ext_authz_response_max_size", in_http_any,
        "The longest answer of a service; a denial by HTTP that is longer goes on without its body."),
};

}  // namespace

constinit const std::array<Directive, 25> rows = join(own_rows, tls_client_directives<ExtAuthzConf, "ext_authz_ssl", in_http_any>);

ConfResult<Unit> bind_services(Generation& generation) {
  ConfResult<Unit> bound = Unit();
  each_block(generation.root(), [&](Block& block) {
    Service& service = fairlead::conf<ExtAuthzConf>(block).service;
    if (bound) bound = bind_group(generation, service.group, service.has_port, service.speaks_grpc);
    if (bound) bound = bind_tls<ExtAuthzConf>(generation, block, "ext_authz_ssl", service.is_secure);
  });
  return bound;
}

}  // namespace fairlead::http::ext_authz
