// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `postpone_output`: a reply that is relayed leaves in pieces of no less than so many bytes, its last one excepted. Unless it is set, what
// is there is sent at once. Its conf belongs to the generation.
#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/request/request.h"
#include "modules/http_postpone_output/postponed_body.h"

namespace fairlead {
namespace {

using namespace http;
using http_postpone_output::PostponedBody;

struct PostponeConf {
  Size least_bytes{0};
};

// A reply that is not read ahead is meant to go on as it comes (proxy_buffering off, X-Accel-Buffering).
void postpone(Request& request) {
  Response& response = request.response;
  if (!response.reads_ahead || !response.body) return;
  response.body = request.arena().make<PostponedBody>(*response.body, conf<PostponeConf>(request).least_bytes.bytes);
}

bool is_wanted(const Block& block) { return conf<PostponeConf>(block).least_bytes.bytes > 0; }

constexpr Directive rows[] = {
    slot<PostponeConf, &PostponeConf::least_bytes>(
        "postpone_output", in_http_any,
        "Replies of upstreams that are buffered are sent on in pieces of at least so many bytes; 0: as they come."),
};
constexpr ResponseFilter filters[] = {{.stage = Stage::framing, .apply = postpone, .applies = is_wanted}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_postpone_output_module = {
    .name = "http_postpone_output", .conf = conf_of<PostponeConf>, .directives = rows, .http = &hooks};

}  // namespace fairlead
