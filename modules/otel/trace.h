// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The trace of a request: where it comes from, the span of this server, whether it is recorded. In a slot of the request; what it makes
// inside the server (subrequests, copies) is part of the same span. The ids are made at the first look, which may come before the location
// is known (a variable in the server's script); the location decides the rest, once.
#pragma once

#include <optional>

#include "http/request/request.h"
#include "modules/otel/context.h"

namespace fairlead::http::otel {

struct Trace {
  bool is_made = false;
  bool has_read = false;             // a block that extracts looked at what the request came with
  bool is_decided = false;
  bool is_asking = false;            // otel_trace is being evaluated
  bool is_recorded = false;          // otel_trace said so
  std::optional<bool> sampled_before;  // what the request came with says, parent or not
  SpanContext own;                   // its flag "sampled" counts once that is decided
  std::optional<SpanContext> parent;
};

const Trace& trace_of(Request& request);

// Parent and recording, by the values that hold now, unless that was decided before: an internal redirect changes nothing. A parent found
// only now gives its trace id.
const Trace& decide_trace(Request& request);

// Parent alone, likewise: what is no place to record or to inject leaves the rest to where the request may be led.
void extract(Request& request);

// As decided; before that, as it would be decided now.
bool is_sampled(Request& request);

// Puts the context of this server's span into the request's fields, for whoever it is passed on to, in the formats of its location.
void inject(Request& request);
// Of a try that will be a span of its own: puts its context there. False: the request is not recorded, this server's span stays.
bool inject_try(Request& request, TryRecord& record);
// The span of that try; made now if it was not injected.
SpanId span_of_try(Request& request, const TryRecord& record);

}  // namespace fairlead::http::otel
