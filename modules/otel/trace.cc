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
    if (!decided.sampled) decided.sampled = incoming.sampled;
  }
  return decided;
}

bool is_on(std::string_view text) { return text == "on" || text == "1"; }

void make(Request& request, Trace& trace) {
  const OtelConf& own = conf<OtelConf>(request);
  Random& random = request.worker().state<Upstreams>().random();
  Incoming incoming;
  if (own.extracts()) incoming = read_incoming(own, request.head.headers);
  trace.parent = incoming.span;
  if (incoming.span) {
    trace.own = *incoming.span;
  } else {
    fill(trace.own.trace_id, random);
    trace.own.flags = flag_random;
  }
  fill(trace.own.span_id, random);
  // Behind the ids: the variable may ask for them.
  bool sampled = incoming.sampled.value_or(true);
  if (own.trace.is_set()) sampled = trace.is_recorded = is_on(own.trace.evaluate(request));
  trace.own.flags = static_cast<uint8_t>((trace.own.flags & ~flag_sampled) | (sampled ? flag_sampled : 0));
}

}  // namespace

Trace& trace_of(Request& request) {
  if (request.is_subrequest && request.parent) return trace_of(as_request(*request.parent));
  Trace& trace = request.slot<Trace>();
  if (trace.is_made) return trace;
  trace.is_made = true;
  make(request, trace);
  return trace;
}

void inject(Request& request) {
  const Trace& trace = trace_of(request);
  const SpanId* parent = trace.parent ? &trace.parent->span_id : nullptr;
  uint8_t formats = conf<OtelConf>(request).used_formats();
  for (Format format : all_formats)
    if (formats & static_cast<uint8_t>(format)) write_context(format, trace.own, parent, request.head.headers);
}

}  // namespace fairlead::http::otel
