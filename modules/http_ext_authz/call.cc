// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_ext_authz/call.h"

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/session_vars.h"
#include "http/conf/set_field.h"
#include "http/forward/forward.h"
#include "http/h1/client.h"
#include "http/h1/request_writer.h"
#include "http/h2/client.h"
#include "http/h2/peer_conf.h"
#include "http/h2/request_writer.h"
#include "http/request/client_facts.h"
#include "http/request/client_identity.h"
#include "modules/http_ext_authz/message.h"

namespace fairlead::http::ext_authz {
namespace {

constexpr std::string_view partial_name = "x-envoy-auth-partial-body";
constexpr std::string_view removed_name = "x-envoy-auth-headers-to-remove";

// Of the subrequest: what it is about.
struct Attached {
  const Call* call = nullptr;
};

const Call& call_of(Request& subrequest) { return *subrequest.slot<Attached>().call; }

// How calls are forwarded: ext_authz_timeout bounds them, the reply is looked at as it is.
const ForwardConf& call_conf() {
  static const ForwardConf conf = [] {
    ForwardConf made;
    made.buffering = false;
    made.request_buffering = false;
    made.pass_request_body = false;  // the call brings its own
    made.ignore_headers.bits = UINT32_MAX;
    made.buffer_size.bytes = 16 * 1024;
    return made;
  }();
  return conf;
}

std::string_view text_of(const Chain& bytes, std::string& room) {
  for (size_t i = 0; i < bytes.count(); ++i) room += bytes[i].view();
  return room;
}

bool is_passed(const ExtAuthzConf& conf, std::string_view name) {
  for (std::string_view passed : conf.passed_fields)
    if (equal_nocase(passed, name)) return true;
  return false;
}

bool is_set_here(const ExtAuthzConf& conf, std::string_view name) {
  for (const SetHeader& header : conf.set_headers)
    if (equal_nocase(header.name, name)) return true;
  return false;
}

// A body of its own for each try: the one before may have taken from it.
void renew(Request& subrequest, AttemptRequest& what, const void*) {
  const Call& call = call_of(subrequest);
  what.body = subrequest.arena().make<BytesBody>(Slice(std::string_view(call.text)));
}

template <class Head>
void write_set_headers(const Call& call, Head& to) {
  for (const SetHeader& header : call.conf.set_headers) {
    std::string_view value = sendable_value(header.value.evaluate(call.request), call.request.arena());
    if (!value.empty()) to.field(header.name, value);
  }
}

void build_http(Request& subrequest, AttemptRequest& what, const void*) {
  const Call& call = call_of(subrequest);
  renew(subrequest, what, nullptr);
  what.method = subrequest.method;
  what.has_body = !call.text.empty();
  what.length = call.text.size();
  h1::RequestWriter to(subrequest.arena(), what.head, subrequest.method_text, call.path, "HTTP/1.1");
  if (!is_set_here(call.conf, "Host")) to.field("Host", call.request.host());
  write_set_headers(call, to);
  to.field("Content-Length", call.text.size());
  if (call.conf.body.bytes_max > 0) to.field(partial_name, call.beginning.is_cut ? "true" : "false");
  for (const Headers::Field& field : call.request.head.headers) {
    bool is_told = field.known == KnownHeader::authorization || is_passed(call.conf, field.name);
    bool is_ours = not_passed_on.holds(field.known) || equal_nocase(field.name, partial_name) || is_set_here(call.conf, field.name);
    if (is_told && !is_ours) to.field(field.name, field.value);
  }
  to.end();
}

void build_grpc(Request& subrequest, AttemptRequest& what, const void*) {
  const Call& call = call_of(subrequest);
  renew(subrequest, what, nullptr);
  what.method = Method::post;
  what.has_body = true;
  RequestFields& fields = *subrequest.arena().make<RequestFields>(subrequest.arena());
  what.fields = &fields;
  h2::RequestWriter to(fields, "POST", call.conf.service.is_secure ? "https" : "http", call.path);
  to.field("Host", call.conf.service.authority);
  to.field("content-type", "application/grpc");
  to.field("te", "trailers");
  if (call.conf.timeout > 0) to.field("grpc-timeout", subrequest.arena().copy(format("{}m", call.conf.timeout.ms)));
  write_set_headers(call, to);
}

// What answers the subrequest: the service.
Task<Verdict> ask_service(Request& subrequest) {
  static const h2::PeerLimits limits;
  const ExtAuthzConf& own = call_of(subrequest).conf;
  const Service& service = own.service;
  const PeerProtocol& protocol = service.speaks_grpc ? static_cast<const PeerProtocol&>(h2::client_protocol) : h1::client_protocol;
  ForwardPlan& plan = ForwardPlan::make(subrequest, call_conf(), protocol);
  plan.group = service.group;
  plan.limits = &limits;
  plan.url_scheme = service.scheme;
  plan.tls = own.tls;
  plan.tls_host = service.authority;
  plan.asks_tls_hooks = false;  // those are for the location's own peers
  if (service.speaks_grpc && service.is_secure) plan.alpn_protocols = h2::alpn_protocol;
  plan.url_path = call_of(subrequest).path;
  plan.build = service.speaks_grpc ? &build_grpc : &build_http;
  plan.renew = &renew;
  plan.needs_head = true;  // garbage is not consent
  return forward(subrequest, plan);
}

// What the service judges is what the request came to, not how the client spelled it: "/public/../admin" is "/admin". CONNECT has no path.
std::string_view judged_uri(Request& request) {
  return request.head.method == Method::connect ? own_uri(request) : normalised_uri(request);
}

bool is_grpc_field(const ExtAuthzConf& conf, const Headers::Field& field) {
  if (equal_nocase(field.name, partial_name)) return false;  // it is not for the client to say
  return conf.passed_fields.empty() || is_passed(conf, field.name);
}

std::string make_message(Call& call, std::string_view body) {
  Request& request = call.request;
  const PeerIdentity& identity = client_identity(request.facts);
  Asked asked;
  asked.source = *request.client_addr;
  asked.destination = local_address(request);
  if (identity.is_verified) {
    asked.source_principal = identity.shown();
    asked.source_certificate = identity.pem;
    asked.destination_principal = identity.own_uri;
  }
  asked.wall_ms = clock().wall_ms() - static_cast<int64_t>(request.loop().now_ms() - request.started_ms);
  asked.id = request.head.headers.joined("x-request-id");
  asked.method = request.method_text;
  asked.path = judged_uri(request);
  asked.host = request.host();
  asked.scheme = request.facts.secure ? "https" : "http";
  asked.protocol = request.head.version_major == 2 ? std::string_view("HTTP/2") : request.head.protocol;
  asked.body_bytes = request.head.has_body() ? request.head.framing.content_length : 0;
  asked.body = body;
  for (const Headers::Field& field : request.head.headers)
    if (is_grpc_field(call.conf, field)) asked.fields.emplace_back(field.name, field.value);
  if (call.conf.body.bytes_max > 0) asked.fields.emplace_back(partial_name, call.beginning.is_cut ? "true" : "false");
  for (const ContextEntry& entry : call.conf.context) asked.context.emplace_back(entry.name, entry.value.evaluate(request));
  return encode_check(asked);
}

// Fields of a reply that are of its own message.
constexpr KnownHeaderSet of_reply(KnownHeader::connection, KnownHeader::keep_alive, KnownHeader::date, KnownHeader::server,
                                  KnownHeader::content_length, KnownHeader::transfer_encoding, KnownHeader::content_type);

void copy_fields(const Headers& from, std::string_view name, FieldChange::How how, std::vector<FieldChange>& to) {
  for (const Headers::Field* field = from.find(name); field; field = from.next_same(*field)) {
    to.push_back({how, std::string(name), std::string(field->value)});
    how = FieldChange::How::append;  // further ones of the name
  }
}

Answer consent_of(const ExtAuthzConf& conf, const Headers& fields) {
  Answer answer;
  answer.kind = Answer::Kind::allowed;
  for (const Copied& copied : conf.to_upstream)
    copy_fields(fields, copied.name, copied.appends ? FieldChange::How::append : FieldChange::How::set, answer.to_upstream);
  for (std::string_view name : conf.to_client) copy_fields(fields, name, FieldChange::How::append, answer.to_client);
  std::string_view name;
  for (Splitter names = Splitter(fields.joined(removed_name), ',').trimmed(); names.next(name);) answer.removed.emplace_back(name);
  return answer;
}

bool is_denial(unsigned status) { return status > 200 && status < 500; }

Answer read_http(const Call& call, Subrequest& asked) {
  unsigned status = asked.status();
  if (status == 200) return consent_of(call.conf, asked.fields());
  if (!is_denial(status)) return failed(format("the service gave status {}", status));
  Answer answer;
  answer.kind = Answer::Kind::denied;
  if (status >= 300) answer.status = static_cast<uint16_t>(status);
  for (const Headers::Field& field : asked.fields())
    if (!of_reply.holds(field.known))
      answer.to_client.push_back({FieldChange::How::append, std::string(field.name), std::string(field.value)});
  if (asked.is_cut()) {
    call.request.logger.warn("the denial of the policy service goes on without its body: more than {} bytes",
                             call.conf.response_bytes_max.bytes);
    return answer;
  }
  text_of(asked.body(), answer.body);
  if (call.request.method == Method::head) answer.unsent_bytes = asked.request().response.head.framing.content_length;
  answer.content_type = asked.fields().value(KnownHeader::content_type);
  if (answer.content_type.empty()) answer.content_type = asked.content_type();
  return answer;
}

Answer read_grpc(Subrequest& asked) {
  if (asked.status() != 200) return failed(format("the service gave status {}", asked.status()));
  if (asked.is_cut()) return failed("the service's message is too long or broke off");
  const Request& request = asked.request();
  for (const Headers* from : {request.upstream_trailers, request.upstream_headers}) {
    const Headers::Field* status = from ? from->find("grpc-status") : nullptr;
    if (!status) continue;
    if (status->value != "0")
      return failed(format("the service gave grpc-status {}, \"{}\"", status->value, from->joined("grpc-message")));
    std::string message;
    return decode_check(text_of(asked.body(), message));
  }
  return failed("the service gave no grpc-status");
}

}  // namespace

SubrequestPlan plan_call(Call& call) {
  std::string room;
  std::string_view body = text_of(call.beginning.bytes, room);
  Request& request = call.request;
  SubrequestPlan plan;
  if (call.conf.service.speaks_grpc) {
    call.text = make_message(call, body);
    call.path = check_method;
    plan.method = Method::post;
    plan.method_text = "POST";
  } else {
    call.text = body;
    call.path = request.arena().join({call.conf.service.prefix, judged_uri(request)});
    plan.method = request.method;
    plan.method_text = request.method_text;
  }
  plan.uri = call.path;
  plan.copies_fields = false;
  plan.shares_variables = false;
  plan.response_bytes_max = call.conf.response_bytes_max;
  if (!call.conf.service.speaks_grpc) plan.keeps_body = &is_denial;
  plan.content = &ask_service;
  return plan;
}

void attach(Subrequest& asked, const Call& call) { asked.request().slot<Attached>().call = &call; }

Answer read_reply(const Call& call, Subrequest& asked) {
  return call.conf.service.speaks_grpc ? read_grpc(asked) : read_http(call, asked);
}

}  // namespace fairlead::http::ext_authz
