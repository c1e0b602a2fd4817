// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The call that goes to the peer: its fields, its deadline; and the content function.
#include "core/base/format.h"
#include "core/base/text.h"
#include "http/conf/set_field.h"
#include "http/forward/target.h"
#include "http/h2/client.h"
#include "http/h2/request_writer.h"
#include "http/message/headers.h"
#include "modules/http_grpc/grpc.h"

namespace fairlead::http::grpc {

namespace {

constexpr std::string_view timeout_name = "grpc-timeout";

void build(Request& request, AttemptRequest& what, const void* grpc_call) {
  const Call& call = *static_cast<const Call*>(grpc_call);
  const GrpcConf& conf = *call.conf;
  what.has_body = request.head.has_body();
  WebKind web = web_kind_of(request);
  if (!what.has_body) what.body = request.arena().make<EmptyBody>();
  else if (web == WebKind::text) what.body = request.arena().make<DecodedBody>(*what.body);
  else what.length = what.body->size();
  if (what.has_body && conf.pass_request_trailers) what.trailers_but = &conf.replaced;
  what.method = request.method;
  RequestFields& fields = *request.arena().make<RequestFields>(request.arena());
  what.fields = &fields;
  h2::RequestWriter to(fields, request.method_text, call.is_secure ? "https" : "http", what.is_again ? own_uri(request) : call.path);
  to.field("Host", call.authority);
  for (const SetHeader& header : conf.set_headers) {
    std::string_view value = sendable_value(header.value.evaluate(request), request.arena());
    if (!value.empty()) to.field(header.name, value);
  }
  if (!conf.replaced.holds("te")) to.field("te", "trailers");
  bool has_length = what.length && request.head.framing.content_length != no_length;  // streams do not get one that the client did not say
  if (has_length && !conf.replaced.holds("content-length")) to.field("content-length", *what.length);
  if (call.deadline_ms) to.field(timeout_name, "1m");  // renew() says how long
  for (const Headers::Field& field : request.head.headers) {
    if (not_passed_on.holds(field.known) || conf.replaced.holds(field)) continue;
    if (call.deadline_ms && equal_nocase(field.name, timeout_name)) continue;
    bool is_web_type = web != WebKind::none && field.known == KnownHeader::content_type;
    to.field(field.name, is_web_type ? grpc_type_of(field.value, request.arena()) : field.value);
  }
}

// Each try is told what is left of the client's time.
void renew(Request& request, AttemptRequest& what, const void* grpc_call) {
  const Call& call = *static_cast<const Call*>(grpc_call);
  if (!call.deadline_ms || call.conf->replaced.holds(timeout_name)) return;
  uint64_t now = request.loop().now_ms();
  uint64_t left = call.deadline_ms > now ? call.deadline_ms - now : 1;
  what.fields->fields.set(timeout_name, request.arena().copy(write_timeout(left)));
}

Next judge(const Headers& fields) {
  const Headers::Field* status = fields.find("grpc-status");
  return status ? condition_of(status->value) : Next::none;
}

// "grpc://host:port", "grpcs://host:port" or without scheme, evaluated from variables. False: the log says why.
bool read_runtime_url(Request& request, Call& call) {
  std::string_view url = call.conf->pass.url.evaluate(request);
  std::string_view authority = url;
  call.is_secure = starts_with_nocase(authority, "grpcs://");
  if (call.is_secure) authority.remove_prefix(8);
  else if (starts_with_nocase(authority, "grpc://")) authority.remove_prefix(7);
  auto target = read_target(request, authority, 0, url);
  if (!target) return false;
  call.target = *target;
  call.authority = authority.starts_with("unix:") ? std::string_view("localhost") : authority;
  return true;
}

Task<Verdict> answer(Verdict verdict) { co_return verdict; }

}  // namespace

bool is_grpc_request(const Request& request) {
  return is_grpc_type(request.head.headers.value(KnownHeader::content_type)) || web_kind_of(request) != WebKind::none;
}

WebKind web_kind_of(const Request& request) {
  if (!fairlead::conf<GrpcConf>(request).web) return WebKind::none;
  return web_kind_of(request.head.headers.value(KnownHeader::content_type));
}

// Plain: a frame of its own would only wait for that of forward().
Task<Verdict> run_grpc(Request& request) {
  Call& call = request.slot<Call>();
  call = Call();
  const GrpcConf& conf = fairlead::conf<GrpcConf>(request);
  call.conf = &conf;
  call.authority = conf.pass.authority;
  call.is_secure = conf.pass.is_secure;
  if (conf.pass.url.is_set() && !read_runtime_url(request, call)) return answer(Verdict::status(500));
  call.path = own_uri(request);
  ForwardPlan& plan = ForwardPlan::make(request, conf, h2::client_protocol);
  if (const Headers::Field* wanted = request.head.headers.find(timeout_name)) {
    if (auto ms = parse_timeout_ms(wanted->value)) {
      call.deadline_ms = request.started_ms + *ms;
      uint64_t now = request.loop().now_ms();
      plan.time_ms = call.deadline_ms > now ? call.deadline_ms - now : 1;
    }
  }
  plan.group = conf.pass.group;
  plan.target = call.target;
  plan.limits = &conf;
  plan.url_scheme = call.is_secure ? "grpcs://" : "grpc://";
  if (call.is_secure) {
    plan.tls = conf.tls;
    plan.tls_host = call.authority;
    plan.alpn_protocols = h2::alpn_protocol;
  }
  plan.url_path = call.path;
  plan.build = &build;
  plan.renew = &renew;
  plan.judge = &judge;
  plan.judges_trailers = conf.lists_grpc_status();
  plan.module_plan = &call;
  return forward(request, plan);
}

}  // namespace fairlead::http::grpc
