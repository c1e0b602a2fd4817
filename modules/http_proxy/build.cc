// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The request that goes to the peer: its URI, its fields, its body; and the content function.
#include "core/base/escape.h"
#include "core/base/format.h"
#include "core/base/text.h"
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
  if (!starts_with_nocase(url, "http://")) {
    request.logger.error("invalid URL prefix in \"{}\"", url);
    return false;
  }
  std::string_view rest = url.substr(7);
  size_t end = rest.starts_with("unix:") ? rest.find(':', 5) : rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, end);
  std::string_view uri = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  if (authority.starts_with("unix:") && !uri.empty()) uri.remove_prefix(1);
  auto parsed = parse_addr(authority, 80, AddrUse::connect);
  if (!parsed) {
    request.logger.error("{} in upstream \"{}\"", parsed.error(), url);
    return false;
  }
  proxy.target.host = parsed->is_name() ? parsed->host : authority;
  proxy.target.port = parsed->port;
  proxy.target.has_port = parsed->has_port;
  proxy.host_header = authority;
  proxy.port = parsed->has_port ? authority.substr(authority.rfind(':') + 1) : "80";
  if (!uri.empty()) proxy.uri = uri[0] == '/' ? uri : request.arena().join({"/", uri});
  return true;
}

std::string_view replaced_uri(Request& request, const Pass& pass) {
  if (request.left_location) return own_uri(request);
  std::string_view rest = request.uri.size() > pass.location_bytes ? request.uri.substr(pass.location_bytes) : std::string_view();
  rest = escaped(Escape::uri, rest, request.arena());
  if (request.args.empty()) return request.arena().join({pass.uri, rest});
  return request.arena().join({pass.uri, rest, "?", request.args});
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
}

// The length that the head announces: of a body, or of none for a method that one is expected of.
std::optional<uint64_t> announced_length(const Request& request, const ProxyConf& conf, const AttemptRequest& what) {
  if (what.has_body) return what.length;
  if (request.head.framing.content_length == 0 && !names_hold(conf.replaced, "Content-Length")) return 0;
  return std::nullopt;
}

template <class Head>
void write_fields(Request& request, const ProxyRequest& proxy, AttemptRequest& what, Head& to) {
  const ProxyConf& conf = proxy.conf;
  bool host_given = false;
  for (const SetHeader& header : conf.sent) {
    std::string_view value = header.value.evaluate(request);
    bool is_host = equal_nocase(header.name, "host");
    if (is_host) host_given = true;
    if (value.empty() || !is_field_value(value)) continue;
    if (equal_nocase(header.name, "upgrade")) what.asks_upgrade = true;
    to.field(header.name, value);
  }
  if (!host_given) to.field("Host", proxy.host_header);
  if (conf.http_version == Version::http_1_0 && !names_hold(conf.replaced, "Connection")) to.field("Connection", "close");
  if (auto length = announced_length(request, conf, what)) to.field("Content-Length", *length);
  else if (what.has_body) to.field("Transfer-Encoding", "chunked");
  if (conf.pass_request_headers) write_client_fields(request, conf.replaced, to);
}

void build(Request& request, AttemptRequest& what, const void* proxy_request) {
  const ProxyRequest& proxy = *static_cast<const ProxyRequest*>(proxy_request);
  const ProxyConf& conf = proxy.conf;
  set_body(request, conf, what);
  std::string_view method = request.method_text;
  if (conf.method.is_set()) method = conf.method.evaluate(request);
  what.method = method == request.method_text ? request.method : parse_method(method);
  if (conf.http_version == Version::http_2) {
    RequestFields& fields = *request.arena().make<RequestFields>(request.arena());
    what.fields = &fields;
    h2::RequestWriter to(fields, method, proxy.scheme, proxy.uri);
    write_fields(request, proxy, what, to);
    return;
  }
  h1::RequestWriter to(what.head, method, proxy.uri, conf.http_version == Version::http_1_0 ? "HTTP/1.0" : "HTTP/1.1");
  write_fields(request, proxy, what, to);
  to.end();
}

}  // namespace

// nginx's defaults (1.31) unless proxy_set_header names the field; an empty value drops it.
ConfResult<Unit> prepare_headers(Block&, ProxyConf& conf) {
  conf.sent.clear();
  conf.replaced.clear();
  for (const SetHeader& header : conf.set_headers) {
    conf.replaced.push_back(header.name);
    if (equal_nocase(header.name, "content-length") || equal_nocase(header.name, "transfer-encoding")) continue;  // framing is ours
    conf.sent.push_back(header);
  }
  return Unit();
}

static Task<Verdict> answer(Verdict verdict) { co_return verdict; }

// Plain: a frame of its own would only wait for that of forward().
Task<Verdict> run_proxy(Request& request) {
  const ProxyConf& conf = fairlead::conf<ProxyConf>(request);
  ProxyRequest& proxy = request.slot<ProxySlot>().begin(conf);
  if (conf.pass.url.is_set()) {
    if (!read_runtime_url(request, proxy)) return answer(Verdict::status(500));
  } else {
    proxy.host_header = conf.pass.host_header;
    proxy.port = conf.pass.port;
  }
  if (proxy.uri.empty()) {
    bool replaces = conf.pass.has_uri && !conf.pass.url.is_set();
    proxy.uri = replaces ? replaced_uri(request, conf.pass) : own_uri(request);
  }
  bool is_http_2 = conf.http_version == Version::http_2;
  ForwardPlan plan{conf, is_http_2 ? static_cast<const PeerProtocol&>(h2::client_protocol) : h1::client_protocol};
  plan.limits = &conf;
  plan.group = conf.pass.group;
  plan.target = proxy.target;
  plan.url_path = proxy.uri;
  plan.build = &build;
  plan.edit_reply = &edit_reply;
  plan.module_plan = &proxy;
  plan.can_send_chunked = conf.http_version != Version::http_1_0;
  return forward(request, plan);
}

}  // namespace fairlead::http::proxy
