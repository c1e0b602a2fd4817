// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/otel/context.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace fairlead::http::otel {
namespace {

constexpr size_t version_00_size = 55;       // 2 + 1 + 32 + 1 + 16 + 1 + 2
constexpr size_t state_members_max = 32;     // W3C Trace Context, 3.3.1.1

// The fields' names. None of them is known to the engine.
constexpr std::string_view traceparent = "traceparent", tracestate = "tracestate", b3 = "b3";
constexpr std::string_view b3_trace = "X-B3-TraceId", b3_span = "X-B3-SpanId", b3_parent = "X-B3-ParentSpanId";
constexpr std::string_view b3_sampled = "X-B3-Sampled", b3_flags = "X-B3-Flags";
constexpr std::string_view debug = "d";  // as a decision of b3

// Lower-case hex of exactly these bytes, not all of them zero.
template <size_t Size>
bool read_id(std::string_view text, std::array<char, Size>& id) {
  if (text.size() != 2 * Size) return false;
  if (std::any_of(text.begin(), text.end(), [](char digit) { return digit >= 'A' && digit <= 'F'; })) return false;
  if (!hex_decode_to(id.data(), text)) return false;
  return std::any_of(id.begin(), id.end(), [](char byte) { return byte != 0; });
}

// 64 bits are the lower half of 128.
bool read_b3_trace(std::string_view text, TraceId& id) {
  SpanId half;
  if (text.size() != 2 * half.size()) return read_id(text, id);
  if (!read_id(text, half)) return false;
  id.fill(0);
  std::copy(half.begin(), half.end(), id.begin() + half.size());
  return true;
}

std::optional<bool> b3_decision(std::string_view text) {
  if (text == "1" || text == "d" || text == "true") return true;
  if (text == "0" || text == "false") return false;
  return std::nullopt;
}

// The only field of this name; nullptr if there is none or several.
const Headers::Field* only(const Headers& fields, std::string_view name) {
  const Headers::Field* field = fields.find(name);
  return field && !fields.next_same(*field) ? field : nullptr;
}

std::string_view value_of(const Headers& fields, std::string_view name) {
  const Headers::Field* field = only(fields, name);
  return field ? field->value : std::string_view();
}

// Passed on as it came, or not at all if it has more members than anybody has to take.
std::string_view read_state(const Headers& fields) {
  std::string_view state = fields.joined(tracestate);
  size_t members = static_cast<size_t>(std::count(state.begin(), state.end(), ',')) + 1;
  return members <= state_members_max ? state : std::string_view();
}

Incoming read_w3c(const Headers& fields) {
  Incoming incoming;
  const Headers::Field* field = only(fields, traceparent);
  if (!field) return incoming;
  incoming.span = parse_traceparent(field->value);
  if (!incoming.span) return incoming;
  incoming.span->state = read_state(fields);
  incoming.sampled = incoming.span->is_sampled();
  return incoming;
}

Incoming read_b3_fields(const Headers& fields) {
  Incoming incoming;
  incoming.sampled = b3_decision(value_of(fields, b3_sampled));
  incoming.is_debug = value_of(fields, b3_flags) == "1";
  if (incoming.is_debug) incoming.sampled = true;
  SpanContext span;
  if (!read_b3_trace(value_of(fields, b3_trace), span.trace_id) || !read_id(value_of(fields, b3_span), span.span_id)) return incoming;
  span.flags = incoming.sampled.value_or(false) ? flag_sampled : 0;
  incoming.span = span;
  return incoming;
}

void write_b3_fields(const SpanContext& context, const SpanId* parent, Headers& fields) {
  Arena& arena = fields.arena();
  fields.set(b3_trace, hex_in(arena, bytes_of(context.trace_id)));
  fields.set(b3_span, hex_in(arena, bytes_of(context.span_id)));
  bool is_debug = context.is_sampled() && context.is_debug;  // which implies the decision
  fields.remove(is_debug ? b3_sampled : b3_flags);
  if (is_debug) fields.set(b3_flags, "1");
  else fields.set(b3_sampled, context.is_sampled() ? "1" : "0");
  if (parent) fields.set(b3_parent, hex_in(arena, bytes_of(*parent)));
  else fields.remove(b3_parent);
}

}  // namespace

std::string_view hex_in(Arena& arena, std::string_view bytes) {
  char* to = static_cast<char*>(arena.allocate(2 * bytes.size(), 1));
  hex_to(to, bytes);
  return {to, 2 * bytes.size()};
}

std::optional<SpanContext> parse_traceparent(std::string_view text) {
  if (text.size() < version_00_size || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  char version = 0, flags = 0;
  if (!hex_decode_to(&version, text.substr(0, 2)) || !hex_decode_to(&flags, text.substr(53, 2))) return std::nullopt;
  auto is_upper = [](char digit) { return digit >= 'A' && digit <= 'F'; };
  if (is_upper(text[0]) || is_upper(text[1]) || is_upper(text[53]) || is_upper(text[54])) return std::nullopt;
  if (version == '\xff') return std::nullopt;
  if (text.size() > version_00_size && (version == 0 || text[version_00_size] != '-')) return std::nullopt;
  SpanContext span;
  if (!read_id(text.substr(3, 32), span.trace_id) || !read_id(text.substr(36, 16), span.span_id)) return std::nullopt;
  span.flags = static_cast<uint8_t>(flags) & (flag_sampled | flag_random);
  return span;
}

Incoming parse_b3(std::string_view text) {
  Incoming incoming;
  if (text.size() <= 1) {
    incoming.sampled = b3_decision(text);
    incoming.is_debug = text == debug;
    return incoming;
  }
  std::string_view parts[4];
  size_t count = 0;
  Splitter splitter(text, '-');
  for (std::string_view part; splitter.next(part);) {
    if (count == 4) return Incoming();
    parts[count++] = part;
  }
  SpanContext span;
  SpanId parent;
  if (count < 2 || !read_b3_trace(parts[0], span.trace_id) || !read_id(parts[1], span.span_id)) return Incoming();
  if (count > 2) {
    incoming.sampled = b3_decision(parts[2]);
    if (!incoming.sampled) return Incoming();
    incoming.is_debug = parts[2] == debug;
  }
  if (count > 3 && !read_id(parts[3], parent)) return Incoming();
  span.flags = incoming.sampled.value_or(false) ? flag_sampled : 0;
  incoming.span = span;
  return incoming;
}

Incoming read_context(Format format, const Headers& fields) {
  switch (format) {
    case Format::w3c: return read_w3c(fields);
    case Format::b3: return parse_b3(value_of(fields, b3));
    case Format::b3multi: break;
  }
  return read_b3_fields(fields);
}

void write_context(Format format, const SpanContext& context, const SpanId* parent, Headers& fields) {
  Arena& arena = fields.arena();
  std::string_view trace = hex_in(arena, bytes_of(context.trace_id)), span = hex_in(arena, bytes_of(context.span_id));
  switch (format) {
    case Format::w3c: {
      char flags = static_cast<char>(context.flags);
      fields.set(traceparent, arena.join({"00-", trace, "-", span, "-", hex_in(arena, {&flags, 1})}));
      if (context.state.empty()) fields.remove(tracestate);
      else fields.set(tracestate, context.state);
      return;
    }
    case Format::b3: {
      std::string_view decision = !context.is_sampled() ? "0" : context.is_debug ? debug : "1";
      fields.set(b3, arena.join({trace, "-", span, "-", decision}));
      return;
    }
    case Format::b3multi: write_b3_fields(context, parent, fields); return;
  }
}

}  // namespace fairlead::http::otel
