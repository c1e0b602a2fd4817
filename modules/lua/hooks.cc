// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/hooks.h"

#include <malloc.h>

#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/request/given_up.h"
#include "http/request/read_body.h"
#include "http/request/request.h"
#include "http/request/response.h"
#include "http/request/uncut_body.h"
#include "modules/lua/body_filter.h"
#include "modules/lua/body_read.h"
#include "modules/lua/conf.h"
#include "modules/lua/machine.h"
#include "modules/lua/output.h"
#include "modules/lua/request_state.h"
#include "modules/lua/run.h"

namespace fairlead::lua {

using http::Request;
using http::Verdict;

namespace {

// Where nothing was sent yet.
Verdict verdict_of_exit(Request& request, int code) {
  if (is_terminal_exit(code)) request.response.head.status = static_cast<uint16_t>(code);
  if (is_terminal_exit(code) || code < 200) return Verdict::close();
  return Verdict::status(static_cast<unsigned>(code));
}

constexpr int declined = -5;  // ngx.DECLINED

// ngx.exit(ngx.DECLINED): the request goes on as if the script was not there; it has no say in `satisfy any`.
bool is_declined(Hook hook, int code) { return code == declined && hook != Hook::content; }

Verdict after_return(Hook hook) { return hook == Hook::access ? Verdict::allow() : Verdict::next(); }

// Statuses behind which the response has the type of others, and an empty body.
bool is_empty_success(int code) { return code >= 200 && code < 300 && code != 204; }

// By something else in the access phase.
bool may_be_overruled(Request& request, Hook hook) {
  return hook == Hook::access && conf<http::CoreConf>(request).satisfy == http::Satisfy::any;
}

// What the script said stays the status for scripts of a page in its place that names none of its own (`error_page 503 = uri`). A refusal
// that may be overruled leaves nothing.
Verdict refuse(Request& request, Hook hook, int code) {
  uint16_t said = request.response.head.status;
  if (said == 0 && code >= 200 && code != 444) said = static_cast<uint16_t>(code);
  request.slot<RequestState>().said_status = may_be_overruled(request, hook) ? uint16_t{0} : said;
  return verdict_of_exit(request, code);
}

// At the begin of a script to which the request was led on.
void recall_status(Request& request) {
  uint16_t& status = request.response.head.status;
  if (status == 0 && request.error_status == 0) status = request.slot<RequestState>().said_status;
}

// The script left nothing to send in a content hook: 200 and an empty body.
bool must_answer(Hook hook, const Output* output) { return hook == Hook::content || (output && output->has_begun()); }

Task<Verdict> conclude(Request& request, Hook hook, const Ending& ending) {
  Output* output = request.slot<RequestState>().output;
  bool committed = output && output->is_committed();
  bool begun = output && output->has_begun();
  int code = ending.code;
  bool is_abort = code < 0 || is_terminal_exit(code);
  switch (ending.kind) {
    case Ending::Kind::failed:
      if (!committed) co_return code ? refuse(request, hook, code) : Verdict::status(500);
      output->abandon();
      co_return Verdict::done();
    case Ending::Kind::redirected:
      if (ending.uri.starts_with('@')) co_return Verdict::named(request.arena(), ending.uri);
      co_return Verdict::redirect(request.arena(), ending.uri, ending.args);
    case Ending::Kind::located:
      request.slot<RequestState>().drop_ctx();  // as in the original: it begins anew there
      request.wants_location = hook != Hook::server_rewrite;
      co_return Verdict::next();
    case Ending::Kind::exited:
      if (committed && is_abort) {
        output->abandon();
        co_return Verdict::done();
      }
      if (code == 0 && !must_answer(hook, output)) co_return after_return(hook);
      if (is_declined(hook, code) && !must_answer(hook, output)) co_return Verdict::next();
      if (is_abort || (code != 0 && !begun && !is_empty_success(code))) co_return refuse(request, hook, code);
      if (code != 0 && !begun && request.response.head.status == 0) request.response.head.status = static_cast<uint16_t>(code);
      break;
    case Ending::Kind::returned:
      if (!must_answer(hook, output)) co_return after_return(hook);
      break;
  }
  co_return co_await output_of(request).finish();
}

// The script had the connection to itself: what it sent is the answer.
Verdict after_raw(Request& request, const Ending& ending) {
  bool is_good_exit = ending.kind == Ending::Kind::exited && ending.code >= 0 && !is_terminal_exit(ending.code);
  bool is_good = is_good_exit || ending.kind == Ending::Kind::returned;
  if (is_good) return Verdict::done();
  uint16_t& status = request.response.head.status;  // for the log
  if (status == 0 && ending.kind == Ending::Kind::exited && ending.code > 0) status = static_cast<uint16_t>(ending.code);
  request.exchange.abandon();
  return Verdict::done();
}

// What needs no frame: true, with `verdict` settled.
bool try_conclude(Request& request, Hook hook, const Ending& ending, Verdict& verdict) {
  const RequestState& state = request.slot<RequestState>();
  if (state.is_raw) {
    verdict = after_raw(request, ending);
    return true;
  }
  if (ending.kind != Ending::Kind::returned) return false;
  if (must_answer(hook, state.output)) return output_of(request).try_finish(verdict);
  verdict = after_return(hook);
  return true;
}

bool is_led_on(const Verdict& verdict) { return verdict.kind() == Verdict::Kind::redirect || verdict.kind() == Verdict::Kind::named; }

// Another response takes the place of the script's.
bool is_replaced(const Verdict& verdict) { return verdict.is_status() || is_led_on(verdict); }

// Nobody goes on with it as it came.
bool is_refused(Request& request, Hook hook, const Verdict& verdict) { return verdict.is_status() && !may_be_overruled(request, hook); }

// What was held back for its length to be known (HTTP/1.0), or refused by a filter, is no part of it.
void drop_output(Request& request) {
  RequestState& state = request.slot<RequestState>();
  if (state.output && !state.output->is_committed()) state.output = nullptr;
}

// Behind a run that has begun to read the body: whoever goes on with the request needs the whole of it, also where no thread waits for
// that any more. An answer in its place does not wait.
Task<Verdict> settle_body(Request& request, Hook hook, BodyRead& read, Verdict verdict) {
  bool may_go_on = verdict.is_status() && may_be_overruled(request, hook);
  bool goes_on = verdict.is_next() || verdict.kind() == Verdict::Kind::allow || is_led_on(verdict);
  if (!goes_on && !may_go_on) {
    if (verdict.is_status() && read.is_under_way()) http::drop_body(request);
    co_return verdict;
  }
  co_await read.end();
  if (read.failure().fault == Fault::none) co_return verdict;
  co_return verdict_of_exit(request, http::status_of_body_failure(read.failure()));
}

Verdict refuse_script(Request& request, Vm::Loaded loaded) {
  request.logger.error("{}", vm_of(request).text);
  return Verdict::status(loaded == Vm::Loaded::missing ? 404 : 500);
}

Task<Verdict> run_hook(Request& request, Hook hook, const Script& script) {
  const LuaConf& own = conf<LuaConf>(request);
  if (own.need_request_body && request.head.has_body() && !request.spooled_body) {
    auto read = co_await http::read_body(request);
    if (!read) co_return verdict_of_exit(request, http::status_of_body_failure(read.error()));
  }
  if (request.redirects > 0) recall_status(request);
  Vm& vm = vm_of(request);
  Run run(vm, hook, &request, request.logger);
  if (own.check_client_abort && !request.is_subrequest) run.ends_with_client.emplace(request.origin());
  Vm::Loaded loaded = vm.push_script(run.entry(), script, &request);
  if (loaded != Vm::Loaded::ok) co_return refuse_script(request, loaded);
  if (!run.start(0)) co_await run.finish();
  Verdict verdict = Verdict::done();
  if (!try_conclude(request, hook, run.ending(), verdict)) verdict = co_await conclude(request, hook, run.ending());
  if (run.body_read && !run.body_read->has_succeeded()) verdict = co_await settle_body(request, hook, *run.body_read, verdict);
  if (is_refused(request, hook, verdict) && http::is_body_lost(request)) http::drop_body(request);
  if (is_replaced(verdict)) drop_output(request);
  co_return verdict;
}

template <Hook hook, Script* LuaConf::*Member>
Task<Verdict> run_phase(Request& request) { return run_hook(request, hook, *(conf<LuaConf>(request).*Member)); }

template <Script* LuaConf::*Member>
bool is_set(const Block& block) { return conf<LuaConf>(block).*Member != nullptr; }

// -- hooks that must not wait --

Verdict run_log(Request& request) {
  if (http::is_given_up(request)) return Verdict::next();
  Scope scope(vm_of(request), Hook::log, &request, request.logger);
  run_plain(scope, *conf<LuaConf>(request).log);
  return Verdict::next();
}

std::string_view what_header_filter_does(const Request& request) {
  if (request.upstream_headers) return "reading response header from upstream";
  return request.tries ? std::string_view("sending to client") : request.doing;
}

void run_header_filter(Request& request) {
  RequestState& state = request.slot<RequestState>();
  if (state.filter_refused) return;
  http::While doing(request, what_header_filter_does(request));
  Scope scope(vm_of(request), Hook::header_filter, &request, request.logger);
  bool good = run_plain(scope, *conf<LuaConf>(request).header_filter);
  if (!good) {
    state.filter_refused = true;
    request.response.refused_status = 500;
  } else if (scope.exit_code != 0 && scope.exit_code != Scope::no_exit) {
    state.filter_refused = true;
    request.response.refused_status = scope.exit_code < 200 ? http::refused_in_silence : static_cast<uint16_t>(scope.exit_code);
  }
}

void wrap_body(Request& request) {
  auto* filter = request.arena().make<BodyFilter>(request, *request.response.body, *conf<LuaConf>(request).body_filter);
  request.response.body = filter;
  request.slot<http::UncutBody>().below_script = &filter->source();
}

// -- where rewrite and access hooks stand in their phases --

bool rewrites_late(const Block& block) { return is_set<&LuaConf::rewrite>(block) && !conf<LuaConf>(block).rewrite_no_postpone; }
bool rewrites_early(const Block& block) { return is_set<&LuaConf::rewrite>(block) && conf<LuaConf>(block).rewrite_no_postpone; }
bool checks_late(const Block& block) { return is_set<&LuaConf::access>(block) && !conf<LuaConf>(block).access_no_postpone; }
bool checks_early(const Block& block) { return is_set<&LuaConf::access>(block) && conf<LuaConf>(block).access_no_postpone; }

// -- memory --

bool has_request_script(const Block& block) {
  const LuaConf& own = conf<LuaConf>(block);
  bool before = own.server_rewrite || own.rewrite || own.access || own.precontent;
  return before || own.content || own.header_filter || own.body_filter || own.log;
}

bool trims(const Block& block) { return conf<LuaConf>(block).malloc_trim != 0 && has_request_script(block); }

struct TrimCount {
  explicit TrimCount(Worker&) {}
  uint64_t requests = 0;
};

Verdict trim_memory(Request& request) {
#if defined(__GLIBC__)
  TrimCount& count = request.worker().state<TrimCount>();
  if (++count.requests % conf<LuaConf>(request).malloc_trim == 0) malloc_trim(0);
#endif
  return Verdict::next();
}

constexpr http::PhaseEntry phases[] = {
    {.phase = http::Phase::server_rewrite,
     .run = run_phase<Hook::server_rewrite, &LuaConf::server_rewrite>,
     .applies = is_set<&LuaConf::server_rewrite>},
    {.phase = http::Phase::before_rewrite, .run = run_phase<Hook::rewrite, &LuaConf::rewrite>, .applies = rewrites_early},
    {.phase = http::Phase::rewrite, .run = run_phase<Hook::rewrite, &LuaConf::rewrite>, .applies = rewrites_late},
    {.phase = http::Phase::access, .run = run_phase<Hook::access, &LuaConf::access>, .applies = checks_early, .leads = true},
    {.phase = http::Phase::access, .run = run_phase<Hook::access, &LuaConf::access>, .applies = checks_late},
    {.phase = http::Phase::precontent, .run = run_phase<Hook::precontent, &LuaConf::precontent>, .applies = is_set<&LuaConf::precontent>},
    {.phase = http::Phase::log, .check = run_log, .applies = is_set<&LuaConf::log>},
    {.phase = http::Phase::log, .check = trim_memory, .applies = trims},
};

constexpr http::ResponseFilter filters[] = {
    {.stage = http::Stage::script, .apply = run_header_filter, .applies = is_set<&LuaConf::header_filter>},
    {.stage = http::Stage::script, .apply = wrap_body, .applies = is_set<&LuaConf::body_filter>},
};

}  // namespace

constexpr http::Hooks http_hooks = {.phases = phases, .filters = filters, .tls = tls_hooks};

Task<Verdict> run_content(Request& request) { return run_hook(request, Hook::content, *conf<LuaConf>(request).content); }

bool run_plain(Scope& scope, const Script& script, int results) {
  lua_State* L = scope.vm.main();
  Vm::Loaded loaded = scope.vm.push_script(L, script, scope.request);
  if (loaded != Vm::Loaded::ok) {
    if (scope.request) scope.logger.error("{}", scope.vm.text);
    else scope.logger.error("{} error: {}", directive_name(scope.hook), scope.vm.text);
    return false;
  }
  bool good = scope.vm.call(L, 0, results);
  if (good) return true;
  if (scope.request) scope.logger.error("failed to run {}: {}", hook_name(scope.hook), lua_tostring(L, -1));
  else scope.logger.error("{} error: {}", directive_name(scope.hook), lua_tostring(L, -1));
  lua_pop(L, 1);
  return false;
}

}  // namespace fairlead::lua
