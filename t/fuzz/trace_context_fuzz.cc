// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Contexts of traces from foreign fields: what is taken is written so that it is read again as the same. The first byte chooses
// the format, the second cuts the rest into fields.
#include "modules/otel/context.h"
#include "t/fuzz/require.h"

namespace {

using namespace fairlead;
using namespace fairlead::http;
using namespace fairlead::http::otel;

using fairlead::fuzz::require;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 2) return 0;
  constexpr Format formats[] = {Format::w3c, Format::b3, Format::b3multi};
  constexpr std::string_view names[] = {"traceparent", "tracestate", "b3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-Sampled", "X-B3-Flags"};
  Format format = formats[bytes[0] % 3];
  std::string_view input(reinterpret_cast<const char*>(bytes) + 2, size - 2);
  Arena::Owner arena = Arena::open(1024);
  Headers fields(*arena);
  for (size_t i = bytes[1]; !input.empty(); ++i) {
    size_t end = std::min(input.find('\n'), input.size());
    fields.add(names[i % std::size(names)], input.substr(0, end));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  Incoming incoming = read_context(format, fields);
  if (!incoming.span) return 0;
  require(incoming.span->trace_id != TraceId{} && incoming.span->span_id != SpanId{}, "an id of zeros");
  Headers written(*arena);
  write_context(format, *incoming.span, nullptr, written);
  Incoming again = read_context(format, written);
  require(again.span && again.span->trace_id == incoming.span->trace_id && again.span->span_id == incoming.span->span_id, "ids changed");
  require(again.span->is_sampled() == incoming.span->is_sampled() && again.span->state == incoming.span->state, "the rest changed");
  return 0;
}
