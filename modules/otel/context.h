// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The context of a trace as header fields carry it: W3C Trace Context and both forms of B3. Pure functions over texts that came from
// outside; what is not valid is as good as absent, as both specifications want it. Who makes ids and when is trace.h's matter.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/arena.h"
#include "http/message/headers.h"

namespace fairlead::http::otel {

using TraceId = std::array<char, 16>;
using SpanId = std::array<char, 8>;

// Bits of W3C's trace-flags.
constexpr uint8_t flag_sampled = 0x01;
constexpr uint8_t flag_random = 0x02;  // the trace id is random, said whoever made it

struct SpanContext {
  TraceId trace_id{};
  SpanId span_id{};
  uint8_t flags = 0;
  bool is_debug = false;   // B3's wish that nobody leaves the trace out; holds with flag_sampled only
  std::string_view state;  // tracestate, as it came; of W3C only

  bool is_sampled() const { return flags & flag_sampled; }
};

// What a request says about its trace. B3 can decide about sampling without naming a trace.
struct Incoming {
  std::optional<SpanContext> span;
  std::optional<bool> sampled;
  bool is_debug = false;  // B3's, with or without a trace
};

enum class Format : uint8_t { w3c = 1, b3 = 2, b3multi = 4 };

// The value of one traceparent field (W3C Trace Context, 3.2): versions to come are read as far as 00 goes.
std::optional<SpanContext> parse_traceparent(std::string_view text);
// The value of a b3 field.
Incoming parse_b3(std::string_view text);

// What the fields say in one format. Several fields of a name that may stand once make it invalid. Texts of the result live as long as
// the fields.
Incoming read_context(Format format, const Headers& fields);
// Replaces the fields of the format. Texts are made in the arena of the list. `parent`: of B3's multiple fields; nullptr: none.
void write_context(Format format, const SpanContext& context, const SpanId* parent, Headers& fields);

std::string_view hex_in(Arena& arena, std::string_view bytes);
template <size_t Size>
std::string_view bytes_of(const std::array<char, Size>& id) { return {id.data(), Size}; }

}  // namespace fairlead::http::otel
