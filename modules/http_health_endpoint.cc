// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `health_endpoint`: what a load balancer or a kubelet asks to know whether to send requests here: 200 while the server serves, 503 from
// the moment on that it is about to end (shutdown_delay) and while it drains for good. A worker that a reload replaced is still ready: its
// successor serves.
#include "core/conf/module.h"
#include "event/worker.h"
#include "http/conf/location.h"
#include "http/request/response.h"

namespace fairlead {
namespace {

using http::Request;
using http::Verdict;

struct HealthEndpointConf {};

Task<Verdict> answer(Request& request) {
  if (request.method != http::Method::get && request.method != http::Method::head) co_return Verdict::status(405);
  bool leaves = request.worker().is_server_leaving();
  http::set_text(request, leaves ? 503 : 200, "text/plain", leaves ? "leaving\n" : "ready\n");
  co_return Verdict::respond();
}

ConfResult<Unit> set_health_endpoint(Line& line, HealthEndpointConf&) {
  http::location_of(line.block()).content = answer;
  return Unit();
}

constexpr Directive rows[] = {
    custom<set_health_endpoint, HealthEndpointConf>("health_endpoint", in_server | in_location, words(0),
                                                    "Answers whether this server is ready: 200, or 503 when it is about to end."),
};

}  // namespace

extern constinit const Module http_health_endpoint_module = {
    .name = "http_health_endpoint",
    .conf = conf_of<HealthEndpointConf>,
    .directives = rows,
};

}  // namespace fairlead
