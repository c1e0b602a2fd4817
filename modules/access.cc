// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// allow, deny: who may come, by the client's address. The rules of a block replace those of the outer one. In the arena of the generation.
#include "core/base/access_list.h"
#include "core/base/format.h"
#include "core/conf/module.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/request/audit.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

constexpr std::string_view check_name = "access";

struct AccessConf {
  AccessList rules;
};

template <AccessList::Answer answer>
ConfResult<Unit> set_rule(Line& line, AccessConf& conf) {
  switch (conf.rules.add(answer, line.word(1))) {
    case AccessList::Added::ok: break;
    case AccessList::Added::low_bits_set: line.warn(format("low address bits of {} are meaningless", line.word(1))); break;
    case AccessList::Added::malformed: return line.invalid_parameter(1);
  }
  return Unit();
}

constexpr uint32_t contexts = in_http_any | in_limit_except | in_stream_any;
constexpr std::string_view who = "address | network | unix: | all";
constexpr std::array directives = {
    custom<set_rule<AccessList::Answer::allow>, AccessConf, &AccessConf::rules>(
        "allow", contexts, words(1), "Lets clients of an address or network in; the first matching allow or deny decides.")
        .many()
        .takes(who),
    custom<set_rule<AccessList::Answer::deny>, AccessConf, &AccessConf::rules>(
        "deny", contexts, words(1), "Turns clients of an address or network away; the first matching allow or deny decides.")
        .many()
        .takes(who),
};

bool has_rules(const Block& block) { return !conf<AccessConf>(block).rules.empty(); }

http::Verdict check_request(http::Request& request) {
  AccessList::Answer answer = conf<AccessConf>(request).rules.check(*request.client_addr);
  if (answer == AccessList::Answer::none) return http::Verdict::next();
  bool allowed = answer == AccessList::Answer::allow;
  http::audit(request, {check_name, allowed ? http::Decided::allowed : http::Decided::denied, "address", {}});
  if (allowed) return http::Verdict::allow();
  // With `satisfy any` another check may still let the client in.
  if (conf<http::CoreConf>(request).satisfy == http::Satisfy::all) request.logger.error("access forbidden by rule");
  return http::Verdict::status(403);
}

constexpr std::array phases = {http::PhaseEntry{.phase = http::Phase::access, .check = &check_request, .applies = &has_rules}};
constexpr http::Hooks http_hooks = {.phases = phases, .filters = {}, .forward = {}};

}  // namespace

extern constinit const Module access_module = {
    .name = "access", .conf = conf_of<AccessConf>, .directives = directives, .http = &http_hooks};

}  // namespace fairlead
