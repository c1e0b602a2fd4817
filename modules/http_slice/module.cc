// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// slice: a large response is asked of the upstream in ranges of one size, as they are needed, and given to the client as a whole or as the
// range it wants. The upstream is asked with $slice_range; the body is slice_body.h's.
#include <algorithm>

#include "core/base/format.h"
#include "core/conf/session_vars.h"
#include "core/conf/value.h"
#include "http/hooks.h"
#include "modules/http_slice/slice_body.h"

namespace fairlead {
namespace {

using namespace http;
using namespace http_slice;

struct SliceConf {
  Size slice_bytes{0};  // 0: off
};

uint64_t first_slice(const Request& request, uint64_t slice_bytes) {
  const Headers& fields = request.head.headers;
  if (fields.has(KnownHeader::if_range)) return 0;  // what it decides is not known yet
  return range_start(fields.value(KnownHeader::range)) / slice_bytes * slice_bytes;
}

Value get_slice_range(Session& session, uintptr_t) {
  Request& request = as_request(session);
  uint64_t slice_bytes = conf<SliceConf>(request).slice_bytes;
  if (slice_bytes == 0) return Value::missing();
  SliceState& state = request.slot<SliceState>();
  if (!state.holds_for(request)) state = {request.redirects, request.is_subrequest ? 0 : first_slice(request, slice_bytes)};
  uint64_t end = std::min<uint64_t>(state.begin + slice_bytes, INT64_MAX);
  return text_value(session, format("bytes={}-{}", state.begin, end - 1));
}

// A slice that is not the one asked for: no part of it may be taken for the whole.
void refuse(Request& request) {
  request.response.head.headers.remove(KnownHeader::content_range);
  request.response.refused_status = 502;
}

// The first slice becomes the whole. Further ones stay what they are: SliceBody looks at them.
void begin_slices(Request& request) {
  Response& response = request.response;
  const SliceState* state = request.find_slot<SliceState>();
  if (!state || !state->holds_for(request) || request.is_subrequest || response.status() != 206 || !response.body) return;
  uint64_t slice_bytes = conf<SliceConf>(request).slice_bytes;
  Headers& fields = response.head.headers;
  auto range = parse_content_range(fields.value(KnownHeader::content_range));
  if (!range) {
    request.logger.error("invalid range in slice response");
    return refuse(request);
  }
  if (range->begin != state->begin || range->end != std::min(range->begin + slice_bytes, range->length)) {
    request.logger.error("unexpected range in slice response: {}-{}", range->begin, range->end);
    return refuse(request);
  }
  if (response.etag.empty()) response.etag = fields.value(KnownHeader::etag);
  if (response.last_modified < 0) response.last_modified = response.last_modified_of_reply;
  fields.remove(KnownHeader::content_range);
  fields.remove(KnownHeader::accept_ranges);
  response.head.status = 200;
  response.head.reason = {};
  response.head.framing.content_length = static_cast<int64_t>(range->length);
  response.allow_ranges = true;
  response.one_range_only = true;
  response.outlasts_reply = true;
  SliceBody::Plan plan{slice_bytes, *range, 0, range->length, response.etag};
  response.body = request.arena().make<SliceBody>(request, *response.body, plan);
}

constexpr Directive rows[] = {
    slot<SliceConf, &SliceConf::slice_bytes>("slice", in_http_any,
        "The size of the ranges in which a response is asked of its upstream, by $slice_range; 0: it is asked for as a whole."),
};
constexpr VariableDef variables[] = {{.name = "slice_range", .get = get_slice_range, .flags = variable_volatile, .engines = http_variable}};

bool is_on(const Block& block) { return conf<SliceConf>(block).slice_bytes != 0; }
constexpr ResponseFilter filters[] = {{.stage = Stage::store, .apply = begin_slices, .applies = is_on}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_slice_module = {
    .name = "http_slice", .conf = conf_of<SliceConf>, .directives = rows, .variables = variables, .http = &hooks};

}  // namespace fairlead
