// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `stub_status`: the connection counts in nginx's bytes, or all metrics if the client names an exposition format.
#include "core/base/format.h"
#include "core/conf/generation.h"
#include "core/conf/session_vars.h"
#include "event/worker.h"
#include "http/conf/location.h"
#include "http/request/metrics_text.h"
#include "http/request/response.h"

namespace fairlead {
namespace http_stub_status {
namespace {

using http::Request;
using http::Verdict;

struct StubStatusConf {};

Task<Verdict> answer(Request& request) {
  if (request.method != http::Method::get && request.method != http::Method::head) co_return Verdict::status(405);
  if (auto format = http::exposition_named(request.head.headers)) {
    http::set_metrics_text(request, *format);
    co_return Verdict::respond();
  }
  ConnectionCounts now = request.worker().counts();
  std::string text = format("Active connections: {} \nserver accepts handled requests\n {} {} {} \nReading: {} Writing: {} Waiting: {} \n",
                            now.active, now.accepted, now.handled, now.requests, now.reading, now.writing, now.waiting);
  http::set_text(request, 200, "text/plain", request.arena().copy(text));
  co_return Verdict::respond();
}

ConfResult<Unit> set_stub_status(Line& line, StubStatusConf&) {
  http::set_content(line, answer);
  line.generation().wants_metrics = true;
  return Unit();
}

template <uint64_t ConnectionCounts::*Count>
Value get_count(Session& session, uintptr_t) {
  return number_value(session, http::as_request(session).worker().counts().*Count);
}

constexpr Directive rows[] = {
    custom<set_stub_status, StubStatusConf>("stub_status", in_server | in_location, words(0, 1),
                                            "Answers with the numbers of connections and requests; with all metrics if Accept names "
                                            "application/openmetrics-text or text/plain;version=0.0.4.")
        .many()
        .takes("[on]"),
};

constexpr VariableDef variables[] = {
    {"connections_active", get_count<&ConnectionCounts::active>, variable_volatile, http_variable},
    {"connections_reading", get_count<&ConnectionCounts::reading>, variable_volatile, http_variable},
    {"connections_writing", get_count<&ConnectionCounts::writing>, variable_volatile, http_variable},
    {"connections_waiting", get_count<&ConnectionCounts::waiting>, variable_volatile, http_variable},
};

}  // namespace
}  // namespace http_stub_status

extern constinit const Module http_stub_status_module = {
    .name = "http_stub_status",
    .conf = conf_of<http_stub_status::StubStatusConf>,
    .directives = http_stub_status::rows,
    .variables = http_stub_status::variables,
};

}  // namespace fairlead
