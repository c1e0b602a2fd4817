// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The trace of a request: where it comes from, the span of this server, whether it is recorded. Made once, at the first use, in a slot of
// the request; what it makes inside the server (subrequests, copies) is part of the same span.
#pragma once

#include <optional>

#include "http/request/request.h"
#include "modules/otel/context.h"

namespace fairlead::http::otel {

struct Trace {
  bool is_made = false;
  bool is_recorded = false;  // otel_trace said so
  SpanContext own;
  std::optional<SpanContext> parent;
};

Trace& trace_of(Request& request);

// Puts the context of this server's span into the request's fields, for whoever it is passed on to, in the formats of its location.
void inject(Request& request);

}  // namespace fairlead::http::otel
