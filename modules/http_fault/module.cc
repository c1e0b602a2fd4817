// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_fault: fault { }: a share of the requests is held up, refused or answered slowly on purpose, so that clients prove what they do
// about it. Once per request, before its content: an internal redirect gets no second fault.
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "core/conf/value.h"
#include "event/net/upstreams.h"
#include "event/worker.h"
#include "http/hooks.h"
#include "http/request/request.h"
#include "http/request/response.h"
#include "modules/http_fault/fault.h"

namespace fairlead::http::fault {
namespace {

struct FaultConf {
  const Fault* fault = nullptr;
  FamilyId injected = 0;  // of the registry; set in the main block, if metrics are shown
};

ConfResult<Unit> set_fault(Line& line, FaultConf& own) {
  Fault* fault = line.arena().make<Fault>();
  own.fault = fault;
  Block* block = line.open_block(in_own_block);
  block->set_object(fault);
  return line.read_block(*block);
}

Fault& fault_of(Line& line) { return *line.block().object<Fault>(); }

// The share behind the value; without one all requests.
ConfResult<Unit> set_share(Line& line, size_t index, uint32_t& share) {
  share = whole_percent;
  if (index > line.word_count()) return Unit();
  auto percent = parse_percent(line.word(index));
  if (!percent || *percent > whole_percent) return line.invalid_parameter(index);
  share = *percent;
  return Unit();
}

ConfResult<Unit> set_delay(Line& line, FaultConf&) {
  auto ms = parse_time_ms(line.word(1));
  if (!ms || *ms == 0) return line.invalid_value(1);
  fault_of(line).delay.value = *ms;
  return set_share(line, 2, fault_of(line).delay.share);
}

ConfResult<Unit> set_abort(Line& line, FaultConf&) {
  auto status = parse_decimal(line.word(1));
  if (!status || *status < 200 || *status > 599) return line.invalid_value(1);
  fault_of(line).abort.value = *status;
  return set_share(line, 2, fault_of(line).abort.share);
}

ConfResult<Unit> set_grpc_abort(Line& line, FaultConf&) {
  auto status = parse_decimal(line.word(1));
  if (!status || *status > grpc_status_max) return line.invalid_value(1);
  fault_of(line).grpc_abort.value = *status;
  return set_share(line, 2, fault_of(line).grpc_abort.share);
}

ConfResult<Unit> set_rate(Line& line, FaultConf&) {
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_giga);
  if (!bytes || *bytes == 0) return line.invalid_value(1);
  fault_of(line).rate.value = *bytes;
  return set_share(line, 2, fault_of(line).rate.share);
}

ConfResult<Unit> set_max_active(Line& line, FaultConf&) {
  auto number = parse_decimal(line.word(1));
  if (!number || *number == 0) return line.invalid_value(1);
  fault_of(line).active_max = *number;
  return Unit();
}

ConfResult<Unit> set_max_delay(Line& line, FaultConf&) {
  auto ms = parse_time_ms(line.word(1));
  if (!ms || *ms == 0) return line.invalid_value(1);
  fault_of(line).delay_max_ms = *ms;
  return Unit();
}

ConfResult<Unit> set_headers(Line& line, FaultConf&) {
  uint32_t& share = fault_of(line).headers_share;
  if (line.word(1) == "off") share = 0;
  else if (line.word(1) == "on") share = whole_percent;
  else return set_share(line, 1, share);
  return Unit();
}

ConfResult<Unit> set_conditions(Line& line, FaultConf&) { return ConfValue<Conditions>::parse(line, fault_of(line).conditions); }

bool has_fault(const Block& block) { return conf<FaultConf>(block).fault != nullptr; }

// Requests of this worker that have a fault now.
struct ActiveFaults {
  explicit ActiveFaults(Worker&) {}
  uint64_t count = 0;
};

// What was done to a request. Its end makes room for another.
struct Injected {
  ~Injected() {
    if (active) --active->count;
  }
  bool decided = false;
  std::string_view what;  // for $fault; a literal
  ActiveFaults* active = nullptr;
};

void count(Request& request, std::string_view kind) {
  Metrics* metrics = request.generation().metrics.get();
  if (!metrics || !metrics->is_open()) return;
  metrics->add(metrics->counter(conf<FaultConf>(request.generation().root()).injected, {kind}));
}

std::string_view name_of(const Chosen& chosen) {
  bool aborts = chosen.status != 0 || chosen.grpc_status >= 0, slow = chosen.rate_bytes != 0;
  if (chosen.delay_ms != 0) return aborts ? "delay,abort" : slow ? "delay,rate" : "delay";
  return aborts ? "abort" : slow ? "rate" : "";
}

Verdict abort_with(Request& request, const Chosen& chosen) {
  count(request, "abort");
  request.fail_reason = "FI";
  if (chosen.grpc_status < 0) {
    set_text(request, chosen.status, "text/plain", "fault injected\n");
    return Verdict::respond();
  }
  set_text(request, 200, "application/grpc", "");
  Headers& fields = request.response.head.headers;
  fields.add("grpc-status", request.arena().copy(format("{}", chosen.grpc_status)));
  fields.add("grpc-message", "fault injected");
  return Verdict::respond();
}

Chosen roll_for(Request& request, const Fault& fault) {
  Random& random = request.worker().state<Upstreams>().random();
  return choose(fault, request.head.headers, [&](uint32_t share) { return share == whole_percent || random.below(whole_percent) < share; });
}

Task<Verdict> inject(Request& request) {
  Injected& injected = request.slot<Injected>();
  if (request.is_subrequest || injected.decided) co_return Verdict::next();
  const Fault& fault = *conf<FaultConf>(request).fault;
  if (!fault.conditions.empty() && !holds_any(fault.conditions, request)) co_return Verdict::next();
  injected.decided = true;
  Chosen chosen = roll_for(request, fault);
  if (!chosen.any()) co_return Verdict::next();
  ActiveFaults& active = request.worker().state<ActiveFaults>();
  if (active.count >= fault.active_max) {
    count(request, "overflow");
    request.logger.info("no fault: {} are active", active.count);
    co_return Verdict::next();
  }
  ++active.count;
  injected.active = &active;
  injected.what = name_of(chosen);
  request.logger.info("fault: {}", injected.what);
  if (chosen.delay_ms != 0) {
    count(request, "delay");
    AbortScope scope(request);
    co_await Sleep(request.loop(), chosen.delay_ms);
  }
  if (chosen.status != 0 || chosen.grpc_status >= 0) co_return abort_with(request, chosen);
  if (chosen.rate_bytes != 0) {
    count(request, "rate");
    request.response.rate_bytes = chosen.rate_bytes;
  }
  co_return Verdict::next();
}

Value get_fault(Session& session, uintptr_t) {
  const Injected* injected = session.find_slot<Injected>();
  return injected && !injected->what.empty() ? Value{injected->what} : Value::missing();
}

constexpr std::string_view labels[] = {"kind"};

ConfResult<Unit> add_metrics(Generation& generation) {
  if (!generation.metrics) return Unit();
  auto added = generation.metrics->add(
      {"fairlead_http_faults", MetricKind::counter, "Faults injected on purpose, by kind; overflow: not done for max_active.", labels});
  if (!added) return added.error();
  conf<FaultConf>(generation.root()).injected = *added;
  return Unit();
}

constexpr Directive rows[] = {
    custom<set_fault, FaultConf, &FaultConf::fault>("fault", in_http_any, words(0),
                                                    "Faults done to requests on purpose; replaces those of outer blocks, none if empty.")
        .block(),
    custom<set_delay, FaultConf>("delay", in_own_block, words(1, 2), "Requests wait this long.").takes("time [percent]"),
    custom<set_abort, FaultConf>("abort", in_own_block, words(1, 2), "Requests are answered with a status, after the delay.")
        .takes("status [percent]"),
    custom<set_grpc_abort, FaultConf>("grpc_abort", in_own_block, words(1, 2), "Requests are answered with a status of gRPC.")
        .takes("grpc-status [percent]"),
    custom<set_rate, FaultConf>("rate", in_own_block, words(1, 2), "Responses are sent with so many bytes per second.")
        .takes("size [percent]"),
    custom<set_max_active, FaultConf>("max_active", in_own_block, words(1),
                                      "Most requests of a worker that may have a fault at a time; beyond it they get none. Default 100.")
        .takes("number"),
    custom<set_headers, FaultConf>("headers", in_own_block, words(1),
                                   "Whether requests may ask for a fault by Envoy's fields x-envoy-fault-*, and most of how many.")
        .takes("on | off | percent"),
    custom<set_max_delay, FaultConf>("max_delay", in_own_block, words(1), "Longest delay that a request may ask for. Default 60s.")
        .takes("time"),
    custom<set_conditions, FaultConf>("if", in_own_block, words_from(1), "Faults are done only if one of the texts is neither empty nor 0.")
        .takes("string ..."),
};

constexpr VariableDef variables[] = {{"fault", get_fault, variable_volatile | variable_changeable, http_variable}};

constexpr std::string_view after[] = {"http_metrics"};
constexpr PhaseEntry phases[] = {{.phase = Phase::precontent, .run = &inject, .applies = &has_fault}};
constexpr Hooks hooks = {.phases = phases};

}  // namespace
}  // namespace fairlead::http::fault

namespace fairlead {

extern constinit const Module http_fault_module = {
    .name = "http_fault",
    .conf = conf_of<http::fault::FaultConf>,
    .directives = http::fault::rows,
    .variables = http::fault::variables,
    .after = http::fault::after,
    .generation = http::fault::add_metrics,
    .http = &http::fault::hooks,
};

}  // namespace fairlead
