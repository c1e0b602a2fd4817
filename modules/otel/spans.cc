// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/otel/spans.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/session_vars.h"
#include "http/conf/location.h"
#include "http/request/client_facts.h"
#include "modules/otel/protobuf.h"
#include "modules/otel/trace.h"

namespace fairlead::http::otel {
namespace {

constexpr size_t name_bytes_max = 1024;  // of a span or an attribute
constexpr char no_character = '?';          // in place of a byte that is not UTF-8

// Field numbers, by message.
namespace any_value { constexpr uint32_t text = 1, integer = 3; }
namespace key_value { constexpr uint32_t key = 1, value = 2; }
namespace span_field {
constexpr uint32_t trace_id = 1, span_id = 2, state = 3, parent_id = 4, name = 5, kind = 6, start = 7, end = 8, attributes = 9, status = 15;
}
namespace status_field { constexpr uint32_t code = 3; }
namespace scope_spans { constexpr uint32_t scope = 1, spans = 2; }
namespace scope_field { constexpr uint32_t name = 1, version = 2; }
namespace resource_spans { constexpr uint32_t resource = 1, scope_spans = 2; }
namespace resource_field { constexpr uint32_t attributes = 1; }
namespace export_field { constexpr uint32_t resource_spans = 1; }
namespace response_field { constexpr uint32_t partial_success = 1; }
namespace partial_field { constexpr uint32_t rejected_spans = 1, error_message = 2; }

enum class Kind : uint8_t { server = 2, client = 3 };
constexpr uint64_t status_error = 2;

// Attributes of one message: `field` is its number there.
class Attributes {
 public:
  Attributes(ProtoWriter& to, uint32_t field, size_t text_bytes_max) : to_(to), field_(field), text_bytes_max_(text_bytes_max) {}
  void add(std::string_view key, std::string_view value) {
    write(key, [&] { to_.text(any_value::text, value, no_character, text_bytes_max_); });
  }
  void add_if(std::string_view key, std::string_view value) {
    if (!value.empty()) add(key, value);
  }
  void add(std::string_view key, uint64_t value) {
    write(key, [&] { to_.number(any_value::integer, value); });
  }

 private:
  template <class Value>
  void write(std::string_view key, Value value) {
    to_.message(field_, [&] {
      to_.text(key_value::key, key, no_character, name_bytes_max);
      to_.message(key_value::value, value);
    });
  }
  ProtoWriter& to_;
  uint32_t field_;
  size_t text_bytes_max_;
};

// Wall time in nanoseconds of a moment on the monotonic clock.
uint64_t wall_ns(uint64_t at_ms) {
  int64_t ago_ms = static_cast<int64_t>(clock().now_ms()) - static_cast<int64_t>(at_ms);
  return static_cast<uint64_t>(clock().wall_ms() - ago_ms) * 1'000'000;
}

void write_times(ProtoWriter& to, uint64_t started_ms, uint64_t ended_ms) {
  to.fixed64(span_field::start, wall_ns(started_ms));
  to.fixed64(span_field::end, wall_ns(ended_ms));
}

void write_failure(ProtoWriter& to, bool failed) {
  if (failed) to.message(span_field::status, [&] { to.number(status_field::code, status_error); });
}

// "1.1" of HTTP/1.1, as nginx says it.
std::string flavor_of(const RequestHead& head) {
  return head.version_major >= 2 ? format("{}", head.version_major) : format("{}.{}", head.version_major, head.version_minor);
}

void write_request_attributes(Request& request, const OtelConf& own, Attributes attributes) {
  const RequestHead& head = request.head;
  attributes.add("http.method", head.method_text);
  attributes.add("http.target", head.request_uri);
  attributes.add_if("http.route", request.location->name);
  attributes.add("http.scheme", request.facts.is_secure ? std::string_view("https") : std::string_view("http"));
  attributes.add("http.flavor", flavor_of(head));
  attributes.add_if("http.user_agent", head.headers.value(KnownHeader::user_agent));
  if (head.framing.content_length > 0) attributes.add("http.request_content_length", static_cast<uint64_t>(head.framing.content_length));
  attributes.add("http.response_content_length", request.exchange.sent_body_bytes());
  attributes.add("http.status_code", uint64_t{request.response.head.status});
  attributes.add_if("net.host.name", request.host());
  const Addr& local = local_address(request);
  if (local.is_ip()) attributes.add("net.host.port", uint64_t{local.port()});
  if (request.client_addr && request.client_addr->is_ip()) {
    attributes.add("net.sock.peer.addr", request.client_addr->host_text());
    attributes.add("net.sock.peer.port", uint64_t{request.client_addr->port()});
  }
  for (const SpanAttribute& attribute : own.attributes) attributes.add(attribute.name, attribute.value.evaluate(request));
}

// By OpenTelemetry's conventions: what a server is to blame for. The other codes are about the
// call.
bool is_server_fault(uint64_t grpc_code) {
  constexpr uint64_t faults[] = {2, 4, 12, 13, 14, 15};  // unknown, deadline exceeded, unimplemented, internal, unavailable, data loss
  return std::find(std::begin(faults), std::end(faults), grpc_code) != std::end(faults);
}

void write_call_attributes(std::string_view path, uint64_t grpc_code, Attributes attributes) {
  attributes.add("rpc.system", "grpc");
  size_t slash = path.rfind('/');
  if (slash != std::string_view::npos && slash > 0) {
    attributes.add("rpc.service", path.substr(1, slash - 1));
    attributes.add("rpc.method", path.substr(slash + 1));
  }
  attributes.add("rpc.grpc.status_code", grpc_code);
}

// A client that leaves is nobody's failure.
bool has_failed(const TryRecord& record) {
  return record.status >= 500 || record.status == 0 || (!record.reason.empty() && record.reason != "DC");
}

// A peer broke off what the client was getting.
bool is_cut(const Request& request) {
  const TryRecord* last = request.last_try();
  return last && has_failed(*last) && last->reason != "DC" && request.exchange.is_broken();
}

// The head of a refused one has met no location.
std::string_view name_of_span(Request& request, const OtelConf& own) {
  std::string_view name = own.span_name.is_set() ? own.span_name.evaluate(request) : request.location->name;
  if (!name.empty()) return name;
  return request.head.method_text.empty() ? std::string_view("HTTP") : request.head.method_text;
}

void write_own(Request& request, const OtelConf& own, const Trace& trace, ProtoWriter& to) {
  to.bytes(span_field::trace_id, bytes_of(trace.own.trace_id));
  to.bytes(span_field::span_id, bytes_of(trace.own.span_id));
  if (!trace.own.state.empty()) to.text(span_field::state, trace.own.state, no_character, name_bytes_max);
  if (trace.parent) to.bytes(span_field::parent_id, bytes_of(trace.parent->span_id));
  to.text(span_field::name, name_of_span(request, own), no_character, name_bytes_max);
  to.number(span_field::kind, static_cast<uint64_t>(Kind::server));
  write_times(to, request.started_ms, request.loop().now_ms());
  Attributes attributes(to, span_field::attributes, own.exporter->text_bytes_max);
  write_request_attributes(request, own, attributes);
  auto grpc_code = parse_decimal(own.grpc_status.evaluate(request));
  if (grpc_code) write_call_attributes(request.head.path, *grpc_code, attributes);
  write_failure(to, request.response.head.status >= 500 || (grpc_code && is_server_fault(*grpc_code)) || is_cut(request));
}

void write_try(Request& request, const OtelConf& own, const Trace& trace, const TryRecord& record, ProtoWriter& to) {
  SpanId id = span_of_try(request, record);
  to.bytes(span_field::trace_id, bytes_of(trace.own.trace_id));
  to.bytes(span_field::span_id, bytes_of(id));
  to.bytes(span_field::parent_id, bytes_of(trace.own.span_id));
  to.text(span_field::name, record.group, no_character, name_bytes_max);
  to.number(span_field::kind, static_cast<uint64_t>(Kind::client));
  uint64_t ended_ms = record.response_ms >= 0 ? record.started_ms + static_cast<uint64_t>(record.response_ms) : request.loop().now_ms();
  write_times(to, record.started_ms, ended_ms);
  Attributes attributes(to, span_field::attributes, own.exporter->text_bytes_max);
  size_t port_at = record.peer.starts_with("unix:") ? std::string_view::npos : record.peer.rfind(':');
  auto port = port_at == std::string_view::npos ? std::nullopt : parse_decimal(record.peer.substr(port_at + 1));
  attributes.add("net.peer.name", port ? record.peer.substr(0, port_at) : record.peer);
  if (port) attributes.add("net.peer.port", *port);
  if (record.status != 0) attributes.add("http.status_code", uint64_t{record.status});
  attributes.add_if("upstream.fail_reason", record.reason);
  write_failure(to, has_failed(record));
}

}  // namespace

size_t span_count(const OtelConf& own, const Request& request) {
  size_t count = request.is_subrequest ? 0 : 1;
  if (!own.upstream_spans) return count;
  for (const TryRecord* record = request.tries; record; record = record->next) ++count;
  return count;
}

void write_spans(Request& request, std::string& to) {
  const OtelConf& own = conf<OtelConf>(request);
  const Trace& trace = trace_of(request);
  ProtoWriter writer(to);
  if (!request.is_subrequest) writer.message(scope_spans::spans, [&] { write_own(request, own, trace, writer); });
  if (!own.upstream_spans) return;
  for (const TryRecord* record = request.tries; record; record = record->next)
    writer.message(scope_spans::spans, [&] { write_try(request, own, trace, *record, writer); });
}

std::string write_export(const OtelConf& own, std::string_view spans) {
  std::string out;
  out.reserve(spans.size() + 256);
  ProtoWriter writer(out);
  writer.message(export_field::resource_spans, [&] {
    writer.message(resource_spans::resource, [&] {
      Attributes attributes(writer, resource_field::attributes, own.exporter->text_bytes_max);
      attributes.add("service.name", own.service_name);
      for (const auto& [key, value] : own.resource) attributes.add(key, value);
    });
    writer.message(resource_spans::scope_spans, [&] {
      writer.message(scope_spans::scope, [&] {
        writer.text(scope_field::name, "fairlead", no_character, name_bytes_max);
        writer.text(scope_field::version, FAIRLEAD_VERSION, no_character, name_bytes_max);
      });
      out += spans;
    });
  });
  return out;
}

std::optional<Rejected> read_response(std::string_view message) {
  Rejected rejected;
  ProtoReader response(message);
  while (response.next()) {
    if (response.field() != response_field::partial_success || response.is_number()) continue;
    ProtoReader partial(response.bytes());
    while (partial.next()) {
      if (partial.field() == partial_field::rejected_spans) rejected.spans = partial.number();
      if (partial.field() == partial_field::error_message) rejected.why = partial.bytes();
    }
    if (partial.is_broken()) return std::nullopt;
  }
  if (response.is_broken()) return std::nullopt;
  return rejected;
}

}  // namespace fairlead::http::otel
