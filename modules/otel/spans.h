// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Spans as OTLP has them (opentelemetry-proto v1, trace.proto): written when the request is logged, into the batch that will be sent. Pure
// but for the clock.
#pragma once

#include <optional>
#include <string>

#include "http/request/request.h"
#include "modules/otel/conf.h"

namespace fairlead::http::otel {

// How many spans a request has: its own, and one per try if those are wanted. A subrequest has
// those of its tries alone.
size_t span_count(const OtelConf& own, const Request& request);
// Appends them as fields `spans` of ScopeSpans.
void write_spans(Request& request, std::string& to);
// A whole ExportTraceServiceRequest around `spans`.
std::string write_export(const OtelConf& own, std::string_view spans);

// What a collector that took an export says about it (ExportTracePartialSuccess): so many spans were not wanted, or all were but it has a
// word to say. Views into the message.
struct Rejected {
  uint64_t spans = 0;
  std::string_view why;
};
// Of an ExportTraceServiceResponse. Nothing: that is none.
std::optional<Rejected> read_response(std::string_view message);

}  // namespace fairlead::http::otel
