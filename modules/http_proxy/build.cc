// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The request that goes to the peer: its URI, its fields, its body; and the content function.
#include "core/base/escape.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/session_vars.h"
#include "http/conf/set_field.h"
#include "http/forward/alpn.h"
#include "http/forward/target.h"
#include "http/h1/client.h"
#include "http/h1/request_writer.h"
#include "http/h2/client.h"
#include "http/h2/request_writer.h"
#include "http/message/headers.h"
#include "http/message/uri.h"
#include "modules/http_proxy/proxy.h"

namespace fairlead::http::proxy {

namespace {

// "http://host[:port][/uri]" evaluated from variables. False: the log says why.
bool read_runtime_url(Request& request, ProxyRequest& proxy) {
  std::string_view url = proxy.conf.pass.url.evaluate(request);
  bool is_secure = starts_with_nocase(url, "https://");
  if (!is_secure && !starts_with_nocase(url, "http://")) {
    request.logger.error("invalid URL prefix in \"{}\"", url);
    return false;
  }
  if (is_secure) proxy.scheme = "https";
  uint16_t default_port = is_secure ? 443 : 80;
  std::string_view rest = url.substr(is_secure ? 8 : 7);
  size_t end = rest.starts_with("unix:") ? rest.find(':', 5) : rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, end);
  std::string_view uri = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  if (authority.starts_with("unix:") && !uri.empty()) uri.remove_prefix(1);
  if (!is_field_value(authority)) {
    request.logger.error("invalid host in upstream \"{}\"", url);
    return false;
  }
  auto target = read_target(request, authority, default_port, url);
  if (!target) return false;
  proxy.target = *target;
  proxy.host_header = authority;
  proxy.port = target->has_port ? authority.substr(authority.rfind(':') + 1) : is_secure ? "443" : "80";
  proxy.has_runtime_uri = !uri.empty();
  if (!uri.empty()) proxy.uri = escaped_target(uri[0] == '/' ? uri : request.arena().join({"/", uri}), request.arena());
  return true;
}

std::string_view replaced_uri(Request& request, const Pass& pass) {
  if (request.left_location) return own_uri(request);
  std::string_view rest = request.uri.size() > pass.location_bytes ? request.uri.substr(pass.location_bytes) : std::string_view();
  rest = escaped(Escape::uri, rest, request.arena());
  if (request.args.empty()) return request.arena().join({pass.uri, rest});
  return request.arena().join({pass.uri, rest, "?", escaped_target(request.args, request.arena())});
}

// Of the request as it is now, unless the URL was evaluated with a URI of its own.
std::string_view target_uri(Request& request, const ProxyRequest& proxy) {
  if (proxy.has_runtime_uri) return proxy.uri;
  bool replaces = proxy.conf.pass.has_uri && !proxy.conf.pass.url.is_set();
  return replaces ? replaced_uri(request, proxy.conf.pass) : own_uri(request);
}

void set_body(Request& request, const ProxyConf& conf, AttemptRequest& what) {
  if (conf.set_body.is_set()) {
    std::string_view text = conf.set_body.evaluate(request);
    what.body = request.arena().make<BytesBody>(Slice(text));
    what.has_body = true;
    what.length = text.size();
    return;
  }
  if (!request.head.has_body() || !conf.pass_request_body) {
    what.body = request.arena().make<EmptyBody>();
    return;
  }
  what.has_body = true;
  what.length = what.body->size();
  if (conf.pass_request_trailers && conf.pass_request_headers) what.trailers_but = &conf.not_copied;
}

// The length that the head announces: of a body, or of none for a method that one is expected of.
std::optional<uint64_t> announced_length(const Request& request, const ProxyConf& conf, const AttemptRequest& what) {
  if (what.has_body) return what.length;
  if (request.head.framing.content_length == 0 && !conf.sends_length) return 0;
  return std::nullopt;
}

bool asks_websocket(const Request& request) { return equal_nocase(request.head.upgrade, "websocket"); }

// Whether the request goes to a peer of HTTP/2 as an extended CONNECT (RFC 8441): as it would have an Upgrade field in HTTP/1.1.
bool opens_websocket(Request& request, const ProxyConf& conf) {
  if (request.head.upgrade.empty() || !asks_websocket(request)) return false;
  if (request.head.has_body() || conf.set_body.is_set()) return false;  // a CONNECT has no body
  bool opens = conf.websocket;
  for (const SentPart& part : conf.sent)
    if (part.is_upgrade && equal_nocase(part.field.value.evaluate(request), "websocket")) opens = true;
  return opens && request.method == Method::get;
}

template <class Head>
void write_fields(Request& request, const ProxyRequest& proxy, AttemptRequest& what, Head& to) {
  const ProxyConf& conf = proxy.conf;
  bool upgrades = false;
  for (const SentPart& part : conf.sent) {
    if (!part.text.empty()) {
      to.literals(part.text, part.literals);
      continue;
    }
    std::string_view value = sendable_value(part.field.value.evaluate(request), request.arena());
    if (value.empty()) continue;
    if (part.is_upgrade) upgrades = true;
    to.field(part.field.name, value);
  }
  if (conf.websocket && conf.http_version != Version::http_1_0 && !upgrades && asks_websocket(request)) {
    upgrades = true;
    to.field("Upgrade", request.head.upgrade);
    to.field("Connection", "upgrade");
  }
  // An Upgrade that the configuration alone says asks for what nobody here could use.
  what.asks_upgrade = upgrades && request.head.headers.has(KnownHeader::upgrade);
  if (!conf.sends_host) to.field("Host", proxy.host_header);
  if (auto length = announced_length(request, conf, what)) to.field("Content-Length", *length);
  else if (what.has_body) to.field("Transfer-Encoding", "chunked");
  if (conf.pass_request_headers) {
    for (const Headers::Field& field : request.head.headers) {
      if (!conf.not_copied.holds(field)) to.field(field.name, field.value);
    }
  }
}

void build(Request& request, AttemptRequest& what, const void* proxy_request) {
  const ProxyRequest& proxy = *static_cast<const ProxyRequest*>(proxy_request);
  const ProxyConf& conf = proxy.conf;
  set_body(request, conf, what);
  std::string_view uri = what.is_again ? target_uri(request, proxy) : proxy.uri;
  std::string_view method = request.method_text;
  what.method = request.method;
  if (conf.method.is_set()) {
    std::string_view configured = conf.method.evaluate(request);
    if (is_token(configured)) {
      method = configured;
      what.method = parse_method(method);
    } else {
      request.logger.error("invalid proxy_method \"{}\" is not sent", configured);
    }
  }
  if (proxy.may_be_http_2) {
    RequestFields& fields = *request.arena().make<RequestFields>(request.arena());
    what.fields = &fields;
    h2::RequestWriter to(fields, method, proxy.scheme, uri);
    if (proxy.opens_websocket) to.connect("websocket");
    write_fields(request, proxy, what, to);
  }
  if (!proxy.may_be_http_1) return;
  std::string_view version = conf.http_version == Version::http_1_0 ? "HTTP/1.0" : "HTTP/1.1";
  h1::RequestWriter to(request.arena(), what.head, method, uri, version);
  write_fields(request, proxy, what, to);
  to.end();
}

}  // namespace

// Appends a field to the last part if both are ready for the wire.
static void add_text(ProxyConf& conf, std::string_view name, std::string_view value) {
  if (conf.sent.empty() || conf.sent.back().text.empty()) conf.sent.emplace_back();
  conf.sent.back().text.append(name).append(": ").append(value).append("\r\n");
  conf.sent.back().literals.emplace_back(name, value);
}

// nginx's defaults (1.31) unless proxy_set_header names the field; an empty value drops it.
ConfResult<Unit> prepare_headers(Block&, ProxyConf& conf) {
  conf.sent.clear();
  conf.not_copied = HeaderNames(not_passed_on);
  conf.sends_host = conf.sends_length = false;
  bool connection_given = false;
  for (const SetHeader& header : conf.set_headers) {
    KnownHeader known = find_known_header(header.name);
    conf.not_copied.add(header.name);
    if (known == KnownHeader::host) conf.sends_host = true;
    if (known == KnownHeader::connection) connection_given = true;
    if (known == KnownHeader::content_length) conf.sends_length = true;
    if (known == KnownHeader::content_length || known == KnownHeader::transfer_encoding) continue;  // framing is ours
    bool is_upgrade = known == KnownHeader::upgrade;
    if (is_upgrade || !header.value.is_literal()) {
      conf.sent.push_back({{}, {}, header, is_upgrade});
      continue;
    }
    std::string_view value = header.value.literal();
    if (value.empty()) continue;
    add_text(conf, header.name, value);
  }
  if (!conf.sends_host && conf.pass.is_set && !conf.pass.url.is_set()) {
    add_text(conf, "Host", conf.pass.host_header);
    conf.sends_host = true;
  }
  if (conf.http_version == Version::http_1_0 && !connection_given) add_text(conf, "Connection", "close");
  return Unit();
}

// By the configuration, or as https peers choose in the handshake.
static void settle_protocols(ProxyRequest& proxy) {
  const ProxyConf& conf = proxy.conf;
  bool chosen = proxy.scheme == "https" && conf.alpn.bits != 0;
  proxy.may_be_http_2 = chosen ? conf.alpn.has(Alpn::h2) : conf.http_version == Version::http_2;
  proxy.may_be_http_1 = chosen ? conf.alpn.has(Alpn::http_1_1) : !proxy.may_be_http_2;
}

static const PeerProtocol& protocol_of(const ProxyRequest& proxy) {
  if (!proxy.may_be_http_2) return h1::client_protocol;
  if (!proxy.may_be_http_1) return h2::client_protocol;
  return alpn_protocol;
}

static void offer_protocols(const ProxyRequest& proxy, ForwardPlan& plan) {
  if (proxy.may_be_http_2) plan.alpn_protocols = proxy.may_be_http_1 ? "\x02h2\x08http/1.1" : h2::alpn_protocol;
  else if (proxy.conf.alpn.bits != 0) plan.alpn_protocols = "\x08http/1.1";
  plan.must_choose_alpn = !proxy.may_be_http_1;
}

static Task<Verdict> answer(Verdict verdict) { co_return verdict; }

// Plain: a frame of its own would only wait for that of forward().
Task<Verdict> run_proxy(Request& request) {
  const ProxyConf& conf = fairlead::conf<ProxyConf>(request);
  ProxyRequest& proxy = request.slot<ProxySlot>().begin(conf, request.redirects);
  if (conf.pass.url.is_set()) {
    if (!read_runtime_url(request, proxy)) return answer(Verdict::status(500));
  } else {
    proxy.host_header = conf.pass.host_header;
    proxy.port = conf.pass.port;
    if (conf.pass.is_secure) proxy.scheme = "https";
  }
  proxy.uri = target_uri(request, proxy);
  settle_protocols(proxy);
  proxy.opens_websocket = proxy.may_be_http_2 && opens_websocket(request, conf);
  if (proxy.opens_websocket && request.head.headers.value(KnownHeader::sec_websocket_key).empty()) {
    request.logger.info("client sent no \"Sec-WebSocket-Key\" header");
    return answer(Verdict::status(400));
  }
  ForwardPlan& plan = ForwardPlan::make(request, conf, protocol_of(proxy));
  plan.limits = &conf;
  plan.group = conf.pass.group;
  plan.target = proxy.target;
  plan.url_path = proxy.uri;
  if (proxy.scheme == "https") {
    plan.url_scheme = "https://";
    plan.tls = conf.tls;
    plan.tls_host = proxy.host_header;
    offer_protocols(proxy, plan);
  }
  if (conf.sends_proxy_header) {
    std::string header = make_proxy_header(conf.proxy_header_version, *request.client_addr, local_address(request));
    plan.greeting = request.arena().copy(header);
  }
  plan.build = &build;
  plan.edit_reply = &edit_reply;
  plan.module_plan = &proxy;
  plan.has_own_body = conf.set_body.is_set();
  plan.can_send_chunked = conf.http_version != Version::http_1_0;
  return forward(request, plan);
}

}  // namespace fairlead::http::proxy
