// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/otel/trace.h"

#include <cstring>

#include "event/net/upstreams.h"
#include "event/worker.h"
#include "modules/otel/conf.h"

namespace fairlead::http::otel {
namespace {

constexpr Format all_formats[] = {Format::w3c, Format::b3, Format::b3multi};

template <size_t Size>
void fill(std::array<char, Size>& id, Random& random) {
  do {
    for (size_t at = 0; at < Size; at += 8) {
      uint64_t word = random.next();
      std::memcpy(id.data() + at, &word, 8);
    }
  } while (id == std::array<char, Size>{});  // means "none"
}

// The first format that names a trace; else the first that decides about sampling.
Incoming read_incoming(const OtelConf& own, const Headers& fields) {
  Incoming decided;
  for (Format format : all_formats) {
    if (!(own.used_formats() & static_cast<uint8_t>(format))) continue;
    Incoming incoming = read_context(format, fields);
    if (incoming.span) return incoming;
    if (!decided.sampled) decided = incoming;
  }
  return decided;
}

// The spans of tries whose peers were told of them.
struct TrySpan {
  const TryRecord* record;
  SpanId id;
  const TrySpan* next;
};
struct TrySpans {
  const TrySpan* last = nullptr;
};

SpanId new_span_id(Request& request) {
  SpanId id;
  fill(id, request.worker().state<Upstreams>().random());
  return id;
}

void write_formats(Request& request, const SpanContext& context, const SpanId* parent) {
  uint8_t formats = conf<OtelConf>(request).used_formats();
  for (Format format : all_formats)
    if (formats & static_cast<uint8_t>(format)) write_context(format, context, parent, request.head.headers);
}

bool is_on(std::string_view text) { return text == "on" || text == "1"; }

// Where the block in force extracts. The span's own id stays: it may have been given out.
void take_parent(Request& request, Trace& trace) {
  const OtelConf& own = conf<OtelConf>(request);
  if (trace.has_read || !own.extracts()) return;
  trace.has_read = true;
  Incoming incoming = read_incoming(own, request.head.headers);
  trace.sampled_before = incoming.sampled;
  SpanId span_id = trace.own.span_id;
  if (incoming.span) trace.own = *incoming.span;
  trace.own.span_id = span_id;
  trace.own.is_debug = incoming.is_debug;
  if (incoming.span) trace.parent = std::move(incoming.span);
}

Trace& made_trace(Request& request) {
  if (request.is_subrequest && request.parent) return made_trace(as_request(*request.parent));
  Trace& trace = request.slot<Trace>();
  if (trace.is_made) return trace;
  trace.is_made = true;
  Random& random = request.worker().state<Upstreams>().random();
  fill(trace.own.span_id, random);
  take_parent(request, trace);
  if (trace.parent) return trace;
  fill(trace.own.trace_id, random);
  trace.own.flags = flag_random;
  return trace;
}

// otel_trace may ask for the ids, or for this.
bool wants_sampling(Request& request, Trace& trace) {
  const OtelConf& own = conf<OtelConf>(request);
  if (!own.trace.is_set() || trace.is_asking) return trace.sampled_before.value_or(true);
  trace.is_asking = true;
  bool wanted = is_on(own.trace.evaluate(request));
  trace.is_asking = false;
  return wanted;
}

}  // namespace

const Trace& trace_of(Request& request) { return made_trace(request); }

const Trace& decide_trace(Request& request) {
  Trace& trace = made_trace(request);
  if (trace.is_decided) return trace;
  take_parent(request, trace);
  bool sampled = wants_sampling(request, trace);
  trace.is_decided = true;
  trace.is_recorded = sampled && conf<OtelConf>(request).trace.is_set();
  trace.own.flags = static_cast<uint8_t>((trace.own.flags & ~flag_sampled) | (sampled ? flag_sampled : 0));
  return trace;
}

void extract(Request& request) {
  Trace& trace = made_trace(request);
  if (!trace.is_decided) take_parent(request, trace);
}

bool is_sampled(Request& request) {
  Trace& trace = made_trace(request);
  return trace.is_decided ? trace.own.is_sampled() : wants_sampling(request, trace);
}

void inject(Request& request) {
  const Trace& trace = decide_trace(request);
  write_formats(request, trace.own, trace.parent ? &trace.parent->span_id : nullptr);
}

bool inject_try(Request& request, TryRecord& record) {
  const Trace& trace = decide_trace(request);
  if (!trace.is_recorded) return false;
  TrySpans& spans = request.slot<TrySpans>();
  spans.last = request.arena().make<TrySpan>(TrySpan{&record, new_span_id(request), spans.last});
  SpanContext context = trace.own;
  context.span_id = spans.last->id;
  write_formats(request, context, &trace.own.span_id);
  return true;
}

SpanId span_of_try(Request& request, const TryRecord& record) {
  const auto* spans = request.find_slot<TrySpans>();
  for (const TrySpan* span = spans ? spans->last : nullptr; span; span = span->next)
    if (span->record == &record) return span->id;
  return new_span_id(request);
}

}  // namespace fairlead::http::otel
