// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// limit_rate, limit_rate_after and rates set at run time. The directives are the core's, because $limit_rate and X-Accel-Limit-Rate meet
// there.
#include "core/base/text.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/request/request.h"
#include "modules/http_limit_rate/paced_body.h"

namespace fairlead {
namespace {

using namespace http;
using http_limit_rate::PacedBody;

uint64_t evaluate_size(Request& request, const Template& setting) {
  std::string_view text = setting.evaluate(request);
  if (text == "0" || text.empty()) return 0;
  auto size = parse_size(text, SizeUnits::up_to_mega);
  if (!size) request.logger.error("invalid size \"{}\"", text);
  return size.value_or(0);
}

void pace(Request& request) {
  const CoreConf& core = conf<CoreConf>(request);
  Response& response = request.response;
  if (!response.rate_bytes && core.limit_rate.is_literal() && core.limit_rate.literal() == "0") return;
  uint64_t rate = response.rate_bytes ? response.rate_bytes : evaluate_size(request, core.limit_rate);
  if (rate == 0 || !response.body) return;
  PacedBody::Rate pace{rate, evaluate_size(request, core.limit_rate_after)};
  response.body = request.arena().make<PacedBody>(*response.body, request.loop(), pace);
}

constexpr ResponseFilter filters[] = {{.stage = Stage::framing, .apply = pace}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_limit_rate_module = {.name = "http_limit_rate", .http = &hooks};

}  // namespace fairlead
