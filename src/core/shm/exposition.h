// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Metrics as text, for Prometheus (text format 0.0.4) and as OpenMetrics 1.0. Pure text: what to write comes from Metrics::collect() or
// from a module that makes its samples when asked. Which of the two a client wants is its Accept field, the module's business.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/base/buffer.h"
#include "core/shm/metric.h"

namespace fairlead {

enum class ExpositionFormat : uint8_t { prometheus, openmetrics };

std::string_view exposition_content_type(ExpositionFormat format);

// Appends `families`, which must not repeat a name. May be called several times for one exposition.
void write_families(ExpositionFormat format, std::span<const FamilySamples> families, std::string& to);
void write_families(ExpositionFormat format, std::span<const FamilySamples> families, ChainWriter& to);
// What must follow the last family; empty for Prometheus.
std::string_view exposition_end(ExpositionFormat format);

}  // namespace fairlead
