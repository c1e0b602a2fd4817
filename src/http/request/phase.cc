// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/phase.h"

#include <algorithm>
#include <optional>
#include <span>

#include "core/conf/module.h"
#include "http/conf/core_conf.h"
#include "http/request/audit.h"
#include "http/request/file_path.h"
#include "http/request/response.h"
#include "http/request/script.h"

namespace fairlead::http {

static void add_entry(Plan& plan, const PhaseEntry& entry) {
  auto& entries = plan.phases[static_cast<size_t>(entry.phase)];
  auto place = entries.end();
  if (entry.leads) place = std::find_if(entries.begin(), entries.end(), [](const PhaseEntry* other) { return !other->leads; });
  entries.insert(place, &entry);
}

static bool any_waits(std::span<const PhaseEntry* const> entries) {
  return std::any_of(entries.begin(), entries.end(), [](const PhaseEntry* entry) { return entry->run != nullptr; });
}

void compile_plan(Location& location) {
  for (const Module* module : modules().all()) {
    if (!module->http) continue;
    for (const PhaseEntry& entry : module->http->phases)
      if (!entry.applies || entry.applies(*location.block)) add_entry(location.plan, entry);
    for (const ResponseFilter& filter : module->http->filters)
      if (!filter.applies || filter.applies(*location.block)) location.plan.filters.push_back(&filter);
    for (const ForwardHook& hook : module->http->forward)
      if (!hook.applies || hook.applies(*location.block)) location.plan.forward.push_back(&hook);
    for (const TlsHook& hook : module->http->tls)
      if (!hook.applies || hook.applies(*location.block)) location.plan.tls.push_back(&hook);
  }
  auto waits = [&](Phase phase) { return any_waits(location.plan.phases[static_cast<size_t>(phase)]); };
  auto has = [&](std::initializer_list<Phase> phases) {
    return std::any_of(phases.begin(), phases.end(),
                       [&](Phase phase) { return !location.plan.phases[static_cast<size_t>(phase)].empty(); });
  };
  location.plan.has_server_entries = has({Phase::post_read, Phase::server_rewrite});
  location.plan.has_entries_before_script = has({Phase::before_rewrite});
  location.plan.has_location_entries = has({Phase::rewrite, Phase::preaccess, Phase::access, Phase::precontent});
  location.plan.server_phases_wait = waits(Phase::post_read) || waits(Phase::server_rewrite);
  bool may_delay = conf<CoreConf>(*location.block).auth_delay != 0;
  location.plan.location_phases_wait =
      waits(Phase::rewrite) || waits(Phase::preaccess) || waits(Phase::access) || waits(Phase::precontent) || may_delay;
  std::stable_sort(location.plan.filters.begin(), location.plan.filters.end(),
                   [](const ResponseFilter* a, const ResponseFilter* b) { return a->stage < b->stage; });
}

static std::span<const PhaseEntry* const> entries_of(const Request& request, Phase phase) {
  return request.location->plan.phases[static_cast<size_t>(phase)];
}

// The entries of a phase none of which waits, in a plain loop: the first verdict that is not next().
static Verdict check_entries(Request& request, Phase phase) {
  for (const PhaseEntry* entry : entries_of(request, phase)) {
    Verdict verdict = entry->check(request);
    if (!verdict.is_next()) return verdict;
  }
  return Verdict::next();
}

static bool waits(const Request& request, Phase phase) { return any_waits(entries_of(request, phase)); }

static Task<Verdict> run_entries(Request& request, Phase phase) {
  for (const PhaseEntry* entry : entries_of(request, phase)) {
    Verdict verdict = Verdict::next();
    if (entry->check) verdict = entry->check(request);
    else verdict = co_await entry->run(request);
    if (!verdict.is_next()) co_return verdict;
  }
  co_return Verdict::next();
}

// What `satisfy` makes of the access phase. `all`: the first denial ends; `any`: the first allowance
// suffices, else the last denial holds.
class AccessSum {
 public:
  explicit AccessSum(Request& request)
      : request_(request), any_(conf<CoreConf>(request).satisfy == Satisfy::any), reason_before_(request.fail_reason) {
    if (any_) denials_.emplace(request);
  }
  // True: that settles it, with sum().
  bool add(Verdict verdict) {
    if (verdict.is_next()) return false;
    if (verdict.kind() == Verdict::Kind::allow) {
      if (!any_) return false;
      request_.response.head.headers.remove(KnownHeader::www_authenticate);
      sum_ = Verdict::next();
      return true;
    }
    bool denial = verdict.is_status() && (verdict.status() == 401 || verdict.status() == 403);
    if (!any_ || !denial) {
      sum_ = verdict;
      return true;
    }
    if (!sum_.is_status() || verdict.status() == 401) sum_ = verdict;
    return false;
  }
  // To be called once, at the end. A check leaves it to this to tell of a denial that another check could have outweighed.
  Verdict sum() {
    if (any_ && sum_.is_status() && sum_.status() >= 400) denials_->refuse();
    denials_.reset();
    if (any_ && sum_.is_status() && sum_.status() == 403) request_.logger.error("access forbidden by rule");
    bool has_own_reason = request_.fail_reason != reason_before_;  // a client that left its body unfinished was not denied
    if (sum_.is_status() && sum_.status() >= 400 && !has_own_reason) request_.fail_reason = "UAEX";
    return sum_;
  }

 private:
  Request& request_;
  bool any_;
  std::string_view reason_before_;
  std::optional<HeldDenials> denials_;  // with any_
  Verdict sum_ = Verdict::next();
};

static Verdict check_access(Request& request) {
  if (request.is_subrequest || entries_of(request, Phase::access).empty()) return Verdict::next();
  AccessSum sum(request);
  for (const PhaseEntry* entry : entries_of(request, Phase::access))
    if (sum.add(entry->check(request))) break;
  return sum.sum();
}

// auth_delay: passwords are not tried out at the speed of the network. A client that leaves does not keep the time.
static Task<Unit> delay_denial(Request& request) {
  request.logger.info("delaying unauthorized request");
  AbortScope abortable(request);
  co_await Sleep(request.loop(), conf<CoreConf>(request).auth_delay);
  co_return Unit();
}

// Whoever may make the request may make what it leads to: a subrequest has no access phase, as in nginx.
static Task<Verdict> run_access(Request& request) {
  if (request.is_subrequest) co_return Verdict::next();
  AccessSum sum(request);
  for (const PhaseEntry* entry : entries_of(request, Phase::access)) {
    Verdict verdict = Verdict::next();
    if (entry->check) verdict = entry->check(request);
    else verdict = co_await entry->run(request);
    if (sum.add(verdict)) break;
  }
  Verdict verdict = sum.sum();
  if (verdict.is_status() && verdict.status() == 401 && conf<CoreConf>(request).auth_delay != 0) co_await delay_denial(request);
  co_return verdict;
}

// What follows from the location alone, before its rewrite phase: internal locations, the size of the body, the missing slash.
static Verdict enter_location(Request& request) {
  Found found = find_location(*request.server->root, request.uri, request);
  request.enter(found.location ? *found.location : *request.server->root);
  if (!found.location) return Verdict::status(500);
  request.logger.debug("using configuration \"{}\"", request.location->name);
  if (request.location->is_internal && !request.is_internal) return Verdict::status(404);
  Verdict verdict = apply_location_limits(request);
  return found.add_slash && verdict.is_next() ? redirect_with_slash(request) : verdict;
}

// The URI was rewritten: on to its location, so many times.
static Verdict follow_rewrite(Request& request) {
  request.wants_location = false;
  ++request.rewrites;
  if (++request.redirects > internal_redirects_max) {
    request.logger.error("rewrite or internal redirection cycle while processing \"{}\"", request.uri);
    return Verdict::status(500);
  }
  return enter_location(request);
}

// The rewrite scripts of the location, of the one a rewrite leads to, and so on; `verdict` settled. False: a location has entries ahead of
// its script, run_location_scripts() goes on from there.
static bool try_location_scripts(Request& request, Verdict& verdict) {
  while (request.location != request.server->root) {  // where no location matched, the server's script has run already
    if (request.location->plan.has_entries_before_script) return false;
    if (run_script(request, verdict) == ScriptStep::finished || !request.wants_location) break;
    verdict = follow_rewrite(request);
    if (!verdict.is_next()) break;
  }
  return true;
}

static Task<Verdict> run_location_scripts(Request& request) {
  Verdict verdict = Verdict::next();
  while (request.location != request.server->root) {
    verdict = co_await run_entries(request, Phase::before_rewrite);
    if (!verdict.is_next()) break;
    bool finished = !request.wants_location && run_script(request, verdict) == ScriptStep::finished;
    if (finished || !request.wants_location) break;
    verdict = follow_rewrite(request);
    if (!verdict.is_next()) break;
  }
  co_return verdict;
}

// What it does to the URI is seen by the search for the location, which follows.
static Verdict run_server_script(Request& request) {
  Verdict verdict = Verdict::next();
  ScriptStep step = run_script(request, verdict);
  request.wants_location = false;
  return step == ScriptStep::finished ? verdict : Verdict::next();
}

static bool wants_post_read(const Request& request) { return request.redirects == 0 && !request.is_subrequest; }

// As in nginx, where the script's module is the last of the phase: what checks requests has its say before a `return`.
static Verdict check_server_phases(Request& request) {
  if (!request.location->plan.has_server_entries) return run_server_script(request);
  if (wants_post_read(request)) {
    Verdict verdict = check_entries(request, Phase::post_read);
    if (!verdict.is_next()) return verdict;
  }
  Verdict verdict = check_entries(request, Phase::server_rewrite);
  return verdict.is_next() ? run_server_script(request) : verdict;
}

static Task<Verdict> run_server_phases(Request& request) {
  if (wants_post_read(request)) {
    Verdict verdict = co_await run_entries(request, Phase::post_read);
    if (!verdict.is_next()) co_return verdict;
  }
  Verdict verdict = co_await run_entries(request, Phase::server_rewrite);
  co_return verdict.is_next() ? run_server_script(request) : verdict;
}

static Verdict check_location_phases(Request& request) {
  if (!request.location->plan.has_location_entries) return Verdict::next();
  for (Phase phase : {Phase::rewrite, Phase::preaccess}) {
    Verdict verdict = check_entries(request, phase);
    if (!verdict.is_next()) return verdict;
  }
  Verdict verdict = check_access(request);
  if (!verdict.is_next()) return verdict;
  return check_entries(request, Phase::precontent);
}

// No directive set what answers here: the content entries, which may decline, then nginx's last words.
static Task<Verdict> run_content(Request& request) {
  Verdict verdict = co_await run_entries(request, Phase::content);
  if (!verdict.is_next()) co_return verdict;
  if (request.uri.empty() || request.uri.back() != '/') co_return Verdict::status(404);
  request.logger.error("directory index of \"{}\" is forbidden", map_path(request, request.uri));
  co_return Verdict::status(403);
}

static Task<Verdict> refuse_connect() { co_return Verdict::status(405); }

static Task<Verdict> content_of(Request& request) {
  if (request.method == Method::connect && !request.location->takes_connect) return refuse_connect();
  return request.location->content ? request.location->content(request) : run_content(request);
}

// One frame for all of it: what each phase waits for has its own.
static Task<Verdict> run_from_location(Request& request) {
  Verdict verdict = Verdict::next();
  for (;;) {
    if (waits(request, Phase::rewrite)) verdict = co_await run_entries(request, Phase::rewrite);
    else verdict = check_entries(request, Phase::rewrite);
    if (!verdict.is_next()) co_return verdict;
    if (!request.wants_location) break;
    verdict = follow_rewrite(request);
    if (verdict.is_next() && !try_location_scripts(request, verdict)) verdict = co_await run_location_scripts(request);
    if (!verdict.is_next()) co_return verdict;
  }
  if (waits(request, Phase::preaccess)) verdict = co_await run_entries(request, Phase::preaccess);
  else verdict = check_entries(request, Phase::preaccess);
  if (!verdict.is_next()) co_return verdict;
  bool may_delay = conf<CoreConf>(request).auth_delay != 0;
  if (may_delay || waits(request, Phase::access)) verdict = co_await run_access(request);
  else verdict = check_access(request);
  if (!verdict.is_next()) co_return verdict;
  if (waits(request, Phase::precontent)) verdict = co_await run_entries(request, Phase::precontent);
  else verdict = check_entries(request, Phase::precontent);
  if (!verdict.is_next()) co_return verdict;
  co_return co_await content_of(request);
}

static Task<Verdict> run_from_server(Request& request) {
  Verdict verdict = co_await run_server_phases(request);
  if (verdict.is_next()) verdict = enter_location(request);
  if (verdict.is_next() && !try_location_scripts(request, verdict)) verdict = co_await run_location_scripts(request);
  if (!verdict.is_next()) co_return verdict;
  co_return co_await run_from_location(request);
}

static Task<Verdict> run_from_script(Request& request) {
  Verdict verdict = co_await run_location_scripts(request);
  if (!verdict.is_next()) co_return verdict;
  co_return co_await run_from_location(request);
}

bool try_phases(Request& request, Location* named, Verdict& verdict, Task<Verdict>& rest) {
  if (named) {
    request.enter(*named);
    verdict = apply_location_limits(request);
  } else {
    request.enter(*request.server->root);
    if (request.location->plan.server_phases_wait) {
      rest = run_from_server(request);
      return false;
    }
    verdict = check_server_phases(request);
    if (verdict.is_next()) verdict = enter_location(request);
  }
  if (verdict.is_next() && !try_location_scripts(request, verdict)) {
    rest = run_from_script(request);
    return false;
  }
  if (!verdict.is_next()) return true;
  if (request.location->plan.location_phases_wait) {
    rest = run_from_location(request);
    return false;
  }
  verdict = check_location_phases(request);
  if (!verdict.is_next()) return true;
  rest = content_of(request);
  return false;
}

void run_log_phase(Request& request) {
  if (!request.location) return;
  While at(request, "logging request");
  for (const PhaseEntry* entry : entries_of(request, Phase::log)) entry->check(request);
}

void note_subrequest(Request& request, const Location& place) {
  for (const PhaseEntry* entry : place.plan.phases[static_cast<size_t>(Phase::log)])
    if (entry->sees_subrequests) entry->check(request);
}

}  // namespace fairlead::http
