// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// otel: tracing. trace_context passes W3C's or B3's context on, made where there is none; otel_*
// are nginx's directives, which record requests as spans and send them to a collector.
#include "core/conf/generation.h"
#include "core/conf/line.h"
#include "core/conf/module.h"
#include "event/hooks.h"
#include "event/worker.h"
#include "http/conf/http_block.h"
#include "http/hooks.h"
#include "http/request/request.h"
#include "modules/otel/exporter.h"
#include "modules/otel/exporter_conf.h"
#include "modules/otel/spans.h"
#include "modules/otel/trace.h"

namespace fairlead::http::otel {
namespace {

// ---- directives

ConfResult<Unit> set_trace(Line& line, OtelConf& own) {
  std::string_view word = line.word(1);
  if (word != "on" && word != "off" && !word.starts_with('$')) return line.invalid_value(1);
  auto compiled = compile_word(line, 1);
  if (!compiled) return compiled.error();
  own.trace = std::move(*compiled);
  auto status = compile_text(line, "$grpc_status");
  if (!status) return status.error();
  own.grpc_status = std::move(*status);
  const Place*& traced_at = own_conf<OtelConf>(*line.block().enclosing(in_main)).traced_at;
  if (word != "off" && !traced_at) traced_at = line.arena().make<Place>(line.place());
  return Unit();
}

ConfResult<Unit> set_mode(Line& line, OtelConf& own) {
  constexpr std::string_view names[] = {"ignore", "extract", "inject", "propagate"};
  for (size_t i = 0; i < std::size(names); ++i) {
    if (line.word(1) != names[i]) continue;
    own.mode = static_cast<ContextMode>(i);
    return Unit();
  }
  return line.invalid_value(1);
}

ConfResult<Unit> set_formats(Line& line, OtelConf& own) {
  own.formats = 0;
  for (size_t i = 1; i <= line.word_count(); ++i) {
    std::string_view word = line.word(i);
    if (word == "off" && line.word_count() == 1) return Unit();
    Format format{};
    if (word == "w3c") format = Format::w3c;
    else if (word == "b3") format = Format::b3;
    else if (word == "b3multi") format = Format::b3multi;
    else return line.invalid_value(i);
    own.formats |= static_cast<uint8_t>(format);
  }
  return Unit();
}

ConfResult<Unit> add_attribute(Line& line, OtelConf& own) {
  if (line.word(1).empty()) return line.invalid_value(1);
  auto value = compile_word(line, 2);
  if (!value) return value.error();
  own.attributes.push_back({line.word(1), std::move(*value)});
  return Unit();
}

ConfResult<Unit> add_resource(Line& line, OtelConf& own) {
  if (line.word(1).empty()) return line.invalid_value(1);
  own.resource.emplace_back(line.word(1), line.word(2));
  return Unit();
}

// ---- hooks

bool decides(const OtelConf& own) { return own.injects() || own.trace.is_set(); }
bool is_wanted(const Block& block) { return decides(conf<OtelConf>(block)) || conf<OtelConf>(block).extracts(); }
bool may_record(const Block& block) { return conf<OtelConf>(block).trace.is_set() && conf<OtelConf>(block).exporter; }

// What this request makes inside the server has its fields already.
Verdict decide(Request& request) {
  if (request.is_subrequest) return Verdict::next();
  const OtelConf& own = conf<OtelConf>(request);
  if (decides(own)) decide_trace(request);
  else extract(request);
  if (own.injects()) inject(request);
  return Verdict::next();
}

// What a subrequest does is part of the request that it belongs to, which has decided; a detached
// one belongs to none.
bool is_recorded(Request& request) {
  if (!request.is_subrequest) return decide_trace(request).is_recorded;
  return request.parent && trace_of(request).is_recorded;
}

bool injects_tries(const Block& block) {
  return may_record(block) && conf<OtelConf>(block).upstream_spans && conf<OtelConf>(block).injects();
}
bool begin_try(Request& request, TryRecord& record) { return is_recorded(request) && inject_try(request, record); }

Verdict record(Request& request) {
  if (!is_recorded(request)) return Verdict::next();
  Exporter& exporter = request.worker().state<Exporter>();
  size_t count = span_count(conf<OtelConf>(request), request);
  if (count == 0 || !exporter.take(count)) return Verdict::next();
  write_spans(request, exporter.spans());
  exporter.added(count);
  return Verdict::next();
}

bool has_exporter(Worker& worker) {
  HttpBlock* http = http_block_of(worker.generation());
  return http && conf<OtelConf>(*http->block).exporter;
}

Task<Unit> finish(Worker& worker) {
  if (has_exporter(worker)) co_await worker.state<Exporter>().flush();
  co_return Unit();
}

void stop(Worker& worker) {
  if (has_exporter(worker)) worker.state<Exporter>().stop();
}

// ---- variables

template <size_t Size>
Value hex_value(Request& request, const std::array<char, Size>& id) { return Value{hex_in(request.arena(), bytes_of(id))}; }

Value get_trace_id(Session& session, uintptr_t) { return hex_value(as_request(session), trace_of(as_request(session)).own.trace_id); }
Value get_span_id(Session& session, uintptr_t) { return hex_value(as_request(session), trace_of(as_request(session)).own.span_id); }
Value get_parent_id(Session& session, uintptr_t) {
  const Trace& trace = trace_of(as_request(session));
  return trace.parent ? hex_value(as_request(session), trace.parent->span_id) : Value::missing();
}
Value get_parent_sampled(Session& session, uintptr_t) {
  const Trace& trace = trace_of(as_request(session));
  if (!trace.parent) return Value::missing();
  return Value{trace.parent->is_sampled() ? std::string_view("1") : std::string_view("0")};
}
Value get_sampled(Session& session, uintptr_t) {
  return Value{is_sampled(as_request(session)) ? std::string_view("1") : std::string_view("0")};
}

// ---- the record

constexpr std::string_view result_labels[] = {"result"};

ConfResult<Unit> complete(Generation& generation) {
  HttpBlock* http = http_block_of(generation);
  ExporterConf* exporter = http ? conf<OtelConf>(*http->block).exporter : nullptr;
  const Place* traced_at = conf<OtelConf>(generation.root()).traced_at;
  if (traced_at && !exporter) return format("\"otel_exporter\" block is missing{}\n", at_place(*traced_at));
  if (exporter) FL_TRY(bind_exporter(generation, *exporter));
  if (!generation.metrics) return Unit();
  auto added = generation.metrics->add(
      {"fairlead_otel_spans", MetricKind::counter, "Spans by what became of them: exported, rejected, failed, dropped.", result_labels});
  if (!added) return added.error();
  conf<OtelConf>(generation.root()).spans = *added;
  return Unit();
}

constexpr std::array own_rows = {
    custom<set_formats, OtelConf, &OtelConf::formats>(
        "trace_context", in_http_any, words_from(1),
        "Formats in which a request's trace is looked for and passed on; where it has none one is made.")
        .takes("w3c | b3 | b3multi ... | off"),
    custom<set_trace, OtelConf, &OtelConf::trace, &OtelConf::grpc_status>(
        "otel_trace", in_http_any, words(1), "Whether requests are recorded as spans.")
        .takes("on | off | $variable").usual("off"),
    custom<set_mode, OtelConf, &OtelConf::mode>(
        "otel_trace_context", in_http_any, words(1),
        "What becomes of traceparent and tracestate: taken over, set for upstreams, both, or nothing of it.")
        .takes("extract | inject | propagate | ignore").usual("ignore"),
    slot<OtelConf, &OtelConf::span_name>("otel_span_name", in_http_any, "Name of the span; the location's without it."),
    custom<add_attribute, OtelConf, &OtelConf::attributes>("otel_span_attr", in_http_any, words(2), "An attribute of the span.")
        .many()
        .takes("name value"),
    slot<OtelConf, &OtelConf::upstream_spans>(
        "otel_upstream_spans", in_http_any,
        "Each try on a peer, of a request or its subrequests, is a span of its own, too, whose context is what the peer gets."),
    slot<OtelConf, &OtelConf::service_name>("otel_service_name", in_http, "The service whose spans these are."),
    custom<add_resource, OtelConf, &OtelConf::resource>("otel_resource_attr", in_http, words(2), "An attribute of the service.")
        .many()
        .takes("name value"),
};
constexpr auto rows = join(exporter_rows, own_rows);

// Volatile: what the location decides may come after the first use.
constexpr VariableDef variables[] = {
    {"trace_id", get_trace_id, variable_volatile | variable_changeable, http_variable},
    {"span_id", get_span_id, variable_changeable, http_variable},
    {"parent_span_id", get_parent_id, variable_volatile | variable_changeable, http_variable},
    {"trace_sampled", get_sampled, variable_volatile | variable_changeable, http_variable},
    {"otel_trace_id", get_trace_id, variable_volatile, http_variable},
    {"otel_span_id", get_span_id, 0, http_variable},
    {"otel_parent_id", get_parent_id, variable_volatile, http_variable},
    {"otel_parent_sampled", get_parent_sampled, variable_volatile, http_variable},
};

constexpr std::string_view after[] = {"http_metrics"};
constexpr PhaseEntry phases[] = {
    {.phase = Phase::rewrite, .check = decide, .applies = is_wanted},
    {.phase = Phase::log, .check = record, .applies = may_record, .sees_subrequests = true},
};
constexpr ForwardHook around_tries[] = {{.begin = begin_try, .applies = injects_tries}};
constexpr Hooks http_hooks = {.phases = phases, .forward = around_tries};
constexpr event::Hooks event_hooks = {.finish = finish, .stop = stop};

}  // namespace
}  // namespace fairlead::http::otel

namespace fairlead {

extern constinit const Module otel_module = {
    .name = "otel",
    .conf = conf_of<http::otel::OtelConf>,
    .directives = http::otel::rows,
    .variables = http::otel::variables,
    .after = http::otel::after,
    .generation = http::otel::complete,
    .event = &http::otel::event_hooks,
    .http = &http::otel::http_hooks,
};

}  // namespace fairlead
