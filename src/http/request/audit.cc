// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/audit.h"

#include "core/conf/generation.h"

namespace fairlead::http {
namespace {

struct AuditConf {
  FamilyId decisions = 0;  // of the registry, if there is one; in the main block
};

struct Wording {
  std::string_view word;
  LogLevel level;
};
// In the order of Decided.
constexpr Wording wordings[] = {
    {"allowed", LogLevel::info}, {"challenged", LogLevel::info},   {"denied", LogLevel::error}, {"failed", LogLevel::error},
    {"failed_open", LogLevel::warn}, {"shadow_denied", LogLevel::warn}, {"logged", LogLevel::notice},
};

constexpr std::string_view labels[] = {"check", "rule", "decision"};

}  // namespace

void audit(const Request& request, const Decision& decision) {
  const Wording& wording = wordings[static_cast<size_t>(decision.decided)];
  std::string_view identity = decision.identity.empty() ? std::string_view("-") : decision.identity;
  request.logger.write(wording.level, "authorization: {} by {} \"{}\", identity \"{}\"", wording.word, decision.check, decision.rule,
                       identity);
  Metrics* metrics = request.generation().metrics.get();
  if (!metrics || !metrics->is_open()) return;
  FamilyId family = conf<AuditConf>(request.generation().root()).decisions;
  metrics->add(metrics->counter(family, {decision.check, decision.rule, wording.word}));
}

ConfResult<Unit> declare_audit(Generation& generation) {
  auto added = generation.metrics->add({"fairlead_http_authorization_decisions", MetricKind::counter,
                                        "Decisions about who may come in, by the check and the rule that made them.", labels});
  if (!added) return added.error();
  conf<AuditConf>(generation.root()).decisions = *added;
  return Unit();
}

constinit const Module http_audit_module = {.name = "http_audit", .conf = conf_of<AuditConf>};

}  // namespace fairlead::http
