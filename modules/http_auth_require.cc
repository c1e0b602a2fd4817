// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_auth_require: who may come in is what variables say, those of other checks among them: they run before.
#include <array>
#include <vector>

#include "core/conf/module.h"
#include "http/hooks.h"
#include "http/request/audit.h"
#include "http/request/requirement.h"

namespace fairlead {
namespace {

using namespace http;

struct AuthRequireConf {
  std::vector<Requirement> requirements;
};

ConfResult<Unit> add_requirement(Line& line, AuthRequireConf& own) {
  Requirement requirement;
  FL_TRY(parse_requirement(line, [](uint64_t status) { return status >= 400 && status <= 599; }, requirement));
  own.requirements.push_back(std::move(requirement));
  return Unit();
}

bool has_requirements(const Block& block) { return !conf<AuthRequireConf>(block).requirements.empty(); }

Verdict check(Request& request) {
  for (const Requirement& requirement : conf<AuthRequireConf>(request).requirements) {
    const Template* missing = first_missing(requirement, request);
    if (!missing) continue;
    request.logger.info("the request is refused: \"{}\" does not hold", missing->source());
    audit(request, {"auth_require", Decided::denied, "require", {}});
    return Verdict::status(requirement.status);
  }
  audit(request, {"auth_require", Decided::allowed, "require", {}});
  return Verdict::allow();
}

constexpr std::array rows = {
    custom<add_requirement, AuthRequireConf, &AuthRequireConf::requirements>(
        "auth_require", in_http_any | in_limit_except, words_from(1),
        "Values that must all be something other than nothing and 0, or the request gets 403 or another status.")
        .many()
        .takes("$value ... [error=4xx | error=5xx]"),
};

constexpr std::string_view after[] = {"access", "http_auth_basic", "http_auth_jwt", "http_auth_request", "http_ext_authz"};
constexpr std::array phases = {PhaseEntry{.phase = Phase::access, .check = &check, .applies = &has_requirements}};
constexpr Hooks hooks = {.phases = phases, .filters = {}, .forward = {}};

}  // namespace

extern constinit const Module http_auth_require_module = {
    .name = "http_auth_require", .conf = conf_of<AuthRequireConf>, .directives = rows, .after = after, .http = &hooks};

}  // namespace fairlead
