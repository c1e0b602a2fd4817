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

const Wording& wording_of(const Decision& decision) { return wordings[static_cast<size_t>(decision.decided)]; }

void write(const Request& request, LogLevel level, const Decision& decision) {
  std::string_view identity = decision.identity.empty() ? std::string_view("-") : decision.identity;
  request.logger.write(level, "authorization: {} by {} \"{}\", identity \"{}\"", wording_of(decision).word, decision.check, decision.rule,
                       identity);
}

// Who takes the denials of a request now; nullptr: they are written at once.
struct DenialsOf {
  HeldDenials* holder = nullptr;
};

}  // namespace

struct HeldDenials::Held {
  Decision decision;
  Held* next = nullptr;
};

HeldDenials::HeldDenials(Request& request) : request_(request) { request.slot<DenialsOf>().holder = this; }

HeldDenials::~HeldDenials() {
  request_.slot<DenialsOf>().holder = nullptr;
  for (const Held* each = first_; each; each = each->next) write(request_, level_, each->decision);
}

void HeldDenials::hold(const Decision& decision) {
  Arena& arena = request_.arena();
  Held* held = arena.make<Held>();
  held->decision = {decision.check, decision.decided, arena.copy(decision.rule), arena.copy(decision.identity)};
  *last_ = held;
  last_ = &held->next;
}

void audit(Request& request, const Decision& decision) {
  const Wording& wording = wording_of(decision);
  const DenialsOf* denials = decision.decided == Decided::denied ? request.find_slot<DenialsOf>() : nullptr;
  if (denials && denials->holder) denials->holder->hold(decision);
  else write(request, wording.level, decision);
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
