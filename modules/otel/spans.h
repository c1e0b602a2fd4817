// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Spans as OTLP has them (opentelemetry-proto v1, trace.proto): written when the request is logged, into the batch that will be sent. Pure
// but for the clock.
#pragma once

#include <string>

#include "http/request/request.h"
#include "modules/otel/conf.h"

namespace fairlead::http::otel {

// How many spans a request has: its own, and one per try if those are wanted.
size_t span_count(const OtelConf& own, const Request& request);
// Appends them as fields `spans` of ScopeSpans.
void write_spans(Request& request, std::string& to);
// A whole ExportTraceServiceRequest around `spans`.
std::string write_export(const OtelConf& own, std::string_view spans);

}  // namespace fairlead::http::otel
