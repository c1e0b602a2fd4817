// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_ext_authz: a policy service decides whether a request is let in, asked as Envoy asks: by HTTP, or by gRPC over connections that
// many requests share. What it says besides goes to the upstream or the client. How it is asked: call.h.
#include <algorithm>
#include <span>
#include <vector>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "event/loop/child.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/request/answer_fields.h"
#include "http/request/audit.h"
#include "http/request/client_fields.h"
#include "http/request/client_identity.h"
#include "http/request/field_variables.h"
#include "http/request/own_answer.h"
#include "modules/http_ext_authz/call.h"

namespace fairlead::http::ext_authz {
namespace {

constexpr std::string_view check_name = "ext_authz";

bool is_wanted(const Block& block) { return conf<ExtAuthzConf>(block).service.is_set; }

void tell(Request& request, Decided decided, std::string_view rule) {
  audit(request, {check_name, decided, rule, client_identity(request.facts).shown()});
}

// What the service's answers put on a request.
struct GivenFields : AnswerFields {};

// A later field of a name that an earlier change set stands behind it: two cookies are two cookies.
void apply(std::span<const FieldChange> changes, Headers& to, AddedFields& added, Request& request) {
  for (size_t i = 0; i < changes.size(); ++i) {
    const FieldChange& change = changes[i];
    if (!may_change(change.name) || !is_field_value(change.value)) {  // of the latter, in consent there is none: unusable()
      request.logger.warn("the policy service may not set the field \"{}\"", change.name);
      continue;
    }
    auto is_same = [&](const FieldChange& other) { return equal_nocase(other.name, change.name); };
    bool is_further = std::any_of(changes.begin(), changes.begin() + static_cast<ptrdiff_t>(i), is_same);
    if (!is_further) added.withdraw(to, change.name);
    bool is_there = to.find(change.name) != nullptr;
    if ((change.how == FieldChange::How::if_absent && is_there) || (change.how == FieldChange::How::if_present && !is_there)) continue;
    if (change.how != FieldChange::How::append && !is_further)
      to.remove_if([&](const Headers::Field& field) { return reads_as(field, change.name); });
    added.add(to, change.name, change.value);
  }
}

void tell_client(Request& request, std::span<const FieldChange> changes) {
  apply(changes, request.response.head.headers, request.slot<GivenFields>().to_client, request);
}

Verdict allow(Request& request, const ExtAuthzConf& own, const Answer& answer) {
  drop_fields(request, own.reserved);
  for (const std::string& name : answer.removed) {
    if (!may_change(name)) continue;
    request.head.headers.remove_if([&](const Headers::Field& field) { return reads_as(field, name); });
    forget_field(request, name);
  }
  apply(answer.to_upstream, request.head.headers, request.slot<GivenFields>().to_upstream, request);
  for (const FieldChange& change : answer.to_upstream) forget_field(request, change.name);
  tell_client(request, answer.to_client);
  tell(request, Decided::allowed, "service");
  return Verdict::allow();
}

// With the service's body, unless `satisfy any` may still outweigh it: then it must be a status, and only a challenge goes with it.
Verdict deny(Request& request, const Answer& answer) {
  tell(request, Decided::denied, "service");
  request.slot<GivenFields>().deny(request);
  if (conf<CoreConf>(request).satisfy == Satisfy::any) {
    std::vector<FieldChange> challenges;
    for (const FieldChange& change : answer.to_client)
      if (answer.status == 401 && equal_nocase(change.name, "WWW-Authenticate")) challenges.push_back(change);
    tell_client(request, challenges);
    return Verdict::status(answer.status == 401 ? 401 : 403);
  }
  tell_client(request, answer.to_client);
  bool is_bodiless = answer.body.empty() && answer.unsent_bytes <= 0;
  if (is_bodiless && (answer.status == 401 || answer.status == 403)) return Verdict::status(answer.status);
  Verdict verdict = answer_with(request, answer.status, answer.content_type.empty() ? "text/plain" : answer.content_type, answer.body);
  if (answer.unsent_bytes > 0) request.response.head.framing.content_length = answer.unsent_bytes;
  return verdict;
}

Verdict fail(Request& request, const ExtAuthzConf& own, std::string_view rule, std::string_view reason) {
  request.logger.error("no decision of the policy service \"{}\": {}", own.service.group->name, reason);
  if (!own.on_failure.open) request.slot<GivenFields>().deny(request);
  tell(request, own.on_failure.open ? Decided::failed_open : Decided::failed, rule);
  return own.on_failure.open ? Verdict::allow() : Verdict::status(own.on_failure.status);
}

// A field that cannot be set as the service means it, and may not be left as the client means it.
const FieldChange* unusable(const Answer& answer) {
  for (const auto* changes : {&answer.to_upstream, &answer.to_client})
    for (const FieldChange& change : *changes)
      if (may_change(change.name) && !is_field_value(change.value)) return &change;
  return nullptr;
}

Verdict decide(Request& request, const ExtAuthzConf& own, const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::allowed:
      if (const FieldChange* change = unusable(answer))
        return fail(request, own, "error", format("the value of its field \"{}\" has control characters", change->name));
      return allow(request, own, answer);
    case Answer::Kind::denied: return deny(request, answer);
    case Answer::Kind::failed: break;
  }
  return fail(request, own, "error", answer.reason);
}

Task<Verdict> check(Request& request) {
  const ExtAuthzConf& own = conf<ExtAuthzConf>(request);
  request.slot<GivenFields>().start(request);
  BodyBeginning beginning;
  if (own.body.bytes_max > 0 && request.head.has_body()) {
    Verdict verdict = co_await read_beginning(request, own.body, beginning);
    if (!verdict.is_next()) co_return verdict;
  }
  Call call{request, own, beginning};
  SubrequestPlan plan = plan_call(call);
  Subrequest asked(request, plan);
  attach(asked, call);
  Task<Unit> running = asked.run();
  Deadline<Unit> bounded(request.loop(), std::move(running), request.loop().deadline(own.timeout));
  auto finished = co_await bounded;
  if (!finished) co_return fail(request, own, "timeout", "it is silent");
  co_return decide(request, own, read_reply(call, asked));
}

constexpr std::string_view after[] = {"access", "http_auth_basic", "http_auth_jwt"};  // what needs nobody else decides first
using Reserved = ReservedNames<ExtAuthzConf, &ExtAuthzConf::reserved>;
constexpr PhaseEntry phases[] = {
    Reserved::before_access, {.phase = Phase::access, .run = &check, .applies = &is_wanted}, Reserved::behind_access};
constexpr Hooks hooks = {.phases = phases};

}  // namespace
}  // namespace fairlead::http::ext_authz

namespace fairlead {

extern constinit const Module http_ext_authz_module = {
    .name = "http_ext_authz",
    .conf = conf_of<http::ext_authz::ExtAuthzConf>,
    .directives = http::ext_authz::rows,
    .after = http::ext_authz::after,
    .generation = http::ext_authz::bind_services,
    .http = &http::ext_authz::hooks,
};

}  // namespace fairlead
