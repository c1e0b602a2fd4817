// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A request that another one sets off and does not wait for: a copy that goes through locations of the configuration by itself, while the
// first one is answered, and may outlive it and its client's connection. Its response is read and dropped. Bounded by a time and a
// number; a worker that drains waits for it.
#pragma once

#include <vector>

#include "http/message/body.h"
#include "http/request/request.h"
#include "http/request/subrequest.h"

namespace fairlead::http {

struct DetachedPlan {
  SubrequestPlan what;        // its body is not looked at; texts are copied
  std::vector<Chunk> body;    // by reference: no view of anything that ends with the first request
  std::string_view host;      // instead of the client's Host field and $host; empty: as it was
  uint64_t timeout_ms = 0;    // of the whole, 0: only the limits of its locations
};

// In a slot of a detached request: how the client framed the body of the first one, for variables. Its own head frames what is sent. Empty,
// in that of a subrequest: it has no body, whatever its parent has.
struct FramingFields {
  std::string_view content_length, transfer_encoding;
};

// Starts it. False: there are `in_flight_max` of the worker under way already, or the worker ends.
bool run_detached(Request& request, DetachedPlan plan, size_t in_flight_max);

}  // namespace fairlead::http
