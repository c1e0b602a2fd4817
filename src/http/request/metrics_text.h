// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// All metrics as a response, for whichever directive shows them: what the registry of the generation counted, and what can be read at this
// moment (connections, peers). What is counted where is modules/http_metrics.cc.
#pragma once

#include <optional>

#include "core/shm/exposition.h"
#include "http/request/request.h"

namespace fairlead::http {

// The exposition that the Accept fields name, the one they like best if both. `*/*` and other types name none.
std::optional<ExpositionFormat> exposition_named(const Headers& headers);

// Fills the response.
void set_metrics_text(Request& request, ExpositionFormat format);

}  // namespace fairlead::http
