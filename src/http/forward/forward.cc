// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/forward.h"

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/escape.h"
#include "core/base/format.h"
#include "http/forward/peer_tls.h"
#include "http/forward/picker.h"
#include "http/forward/retry.h"
#include "http/request/client_facts.h"
#include "http/request/read_body.h"
#include "http/request/replay.h"
#include "http/request/spool.h"

namespace fairlead::http {

namespace {

// The local address that is configured. Gives the text that tells connections with different ones apart.
std::string_view read_bind(Request& request, const ForwardConf& conf, ConnectOptions& connect) {
  std::string_view bind = conf.bind.address.evaluate(request);
  auto parsed = parse_addr(bind, 0, AddrUse::listen);
  if (parsed && !parsed->is_name()) connect.bind = parsed->addr;
  else if (!bind.empty()) request.logger.error("invalid local address \"{}\"", bind);
  connect.transparent = conf.bind.transparent;
  return bind;
}

// `choice`: of a chooser, else nullptr.
AttemptTarget attempt_target_of(Request& request, const ForwardPlan& plan, const Peer& peer, Target& target, const PeerChoice* choice) {
  const ForwardConf& conf = plan.conf;
  AttemptTarget to;
  to.address = &peer.spec.address;
  to.pool = target.pool;
  to.is_fresh = target.fresh_only;
  to.limits = plan.limits;
  std::string_view key = peer.spec.name;
  if (choice && choice->terms.bind.valid()) {
    to.connect.bind = choice->terms.bind;
    key = request.arena().join({key, "|", choice->terms.bind.text()});
  } else if (conf.bind.address.is_set()) {
    key = request.arena().join({key, "|", read_bind(request, conf, to.connect)});
  }
  if (!plan.greeting.empty()) key = request.arena().join({key, "|", plan.greeting});
  to.connect.greeting = plan.greeting;
  if (!plan.protocol.name.empty()) key = request.arena().join({key, "|", plan.protocol.name});
  if (plan.tls && !(choice && choice->terms.in_clear)) {
    std::string_view host = choice && !choice->host.empty() ? choice->host : plan.tls_host;
    to.connect.tls = plan.tls->target(request, host, plan.alpn_protocols);
    to.connect.tls->must_choose = plan.must_choose_alpn && !plan.alpn_protocols.empty();
    key = request.arena().join({key, "|", to.connect.tls->identity});
    HookedTls hooked = plan.asks_tls_hooks ? ask_hooks(request, *to.connect.tls, key) : HookedTls::no;
    if (hooked == HookedTls::per_request) to.pool = nullptr;
    else to.connect.tls->sessions_key = key;
    to.connect.tls->files = &request.worker().files();
  }
  to.key = key.data() == peer.spec.name.data() ? PoolKey{key, peer.name_hash} : PoolKey::of(key);
  to.connect.keepalive = conf.socket_keepalive;
  to.connect.send_buffer = static_cast<int>(conf.socket_sndbuf.bytes);
  to.connect.receive_buffer = static_cast<int>(conf.socket_rcvbuf.bytes);
  to.connect.send_low_water = static_cast<int>(conf.send_lowat.bytes);
  to.connect_timeout_ms = conf.connect_timeout;
  to.send_timeout_ms = conf.send_timeout;
  to.read_timeout_ms = conf.read_timeout;
  to.try_timeout_ms = conf.try_timeout;
  to.head_bytes_max = conf.buffer_size;
  to.interim_max = conf.interim_max;
  to.needs_head = plan.needs_head;
  if (!fairlead::conf<CoreConf>(request).early_hints.empty()) to.hints = &conf;
  return to;
}

// What a chooser wants otherwise than the configuration.
void apply_choice(const PeerChoice& choice, AttemptTarget& to) {
  const PeerTerms& terms = choice.terms;
  if (terms.connect_timeout_ms) to.connect_timeout_ms = terms.connect_timeout_ms;
  if (terms.send_timeout_ms) to.send_timeout_ms = terms.send_timeout_ms;
  if (terms.read_timeout_ms) to.read_timeout_ms = terms.read_timeout_ms;
  to.keep = {choice.keepalive_ms, choice.keepalive_requests};
}

// One try, from its pick to its record. Its destructor gives the peer back and finishes the record, whatever became of the request.
class Try {
 public:
  // `choice`: of a chooser, else nullptr.
  Try(Request& request, const ForwardPlan& plan, Target& target, PeerLease lease, const PeerChoice* choice)
      : request_(request),
        target_(target),
        lease_(std::move(lease)),
        peer_(&*lease_),
        attempt_target_(attempt_target_of(request, plan, *lease_, target, choice)),
        record(request.add_try()),
        attempt(request, plan.protocol, attempt_target_) {
    if (choice) apply_choice(*choice, attempt_target_);
    record.peer = request.arena().copy(lease_->spec.name);  // the peers may be gone when the log is written
    record.group = target.name;
    record.url_scheme = plan.url_scheme;
    record.url_path = plan.url_path;
    record.started_ms = request.loop().now_ms();
  }
  ~Try() { finish(TryEnd::unknown); }
  Try(const Try&) = delete;
  Try& operator=(const Try&) = delete;

  // After the try: counters of the peer, the record, the hooks.
  void finish(TryEnd end) {
    if (finished_) return;
    finished_ = true;
    attempt.note_times(record);
    std::string_view was_doing = attempt.doing();
    uint64_t now = request_.loop().now_ms();
    record.response_ms = static_cast<int64_t>(now - record.started_ms);
    attempt.finish();
    bool banned = lease_.finish({end, process_clock.seconds(), record.header_ms, record.response_ms, now});
    if (target_.queue) target_.queue->wake();
    if (banned) {
      While doing(request_, was_doing);
      request_.logger.warn("upstream server temporarily disabled");
    }
    for (const ForwardHook* hook : request_.location->plan.forward)
      if (hook->end) hook->end(request_, record);
  }
  static void let_go(void* one) { static_cast<Try*>(one)->finish(TryEnd::ok); }
  const Peer& peer() const { return *peer_; }
  void note_reply() { lease_.note_reply(); }

 private:
  Request& request_;
  Target& target_;
  PeerLease lease_;
  const Peer* peer_;
  AttemptTarget attempt_target_;
  bool finished_ = false;

 public:
  TryRecord& record;
  Attempt attempt;
};

// Somebody is there, or could be; other errors of a unix socket mean a wrong configuration, and nginx calls them critical.
bool is_refusal(int sys) { return sys == ECONNREFUSED || sys == ECONNRESET; }

void log_failure(Request& request, const Error& error, const Attempt& attempt) {
  if (error.side == Side::client) {
    log_body_failure(request, error);
    return;
  }
  std::string detail;
  std::string_view broken = attempt.exchange() ? attempt.exchange()->error_detail() : std::string_view();
  if (!broken.empty()) {
    detail = ": \"";
    escape_append(Escape::error_log, detail, broken);
    detail += '"';
  }
  While doing(request, attempt.doing());
  std::string_view peer = request.last_try()->peer;
  if (attempt.is_connecting() && error.fault != Fault::timeout && error.sys != 0 && peer.starts_with("unix:"))
    request.logger.write(is_refusal(error.sys) ? LogLevel::error : LogLevel::crit, Errno{error.sys}, "connect() to {} failed", peer);
  else request.logger.error(Errno{error.sys}, "{}{}", error.what, detail);
}

// No peer could be picked.
Verdict no_peer(Request& request, const ForwardPlan& plan, const Target& target, const QueueStay& stay) {
  TryRecord& record = request.add_try();
  record.peer = record.group = target.name;
  record.url_scheme = plan.url_scheme;
  record.url_path = plan.url_path;
  record.started_ms = request.loop().now_ms();
  record.status = 502;
  record.error = Error{Fault::unavailable, Side::upstream, 0, stay.problem};
  record.reason = request.fail_reason = stay.reason;
  record.queue_ms = stay.waited_ms;
  record.response_ms = 0;
  {
    While doing(request, "connecting to upstream");
    request.logger.error("{}", stay.problem);
  }
  return Verdict::status(502);
}

// What a failed try's $upstream_status says: nothing where the client failed, in its body, before the peer answered.
uint16_t status_for_log(const Error& error) { return error.side == Side::client ? uint16_t{0} : Retry::status_of(error); }

void note_outcome(TryRecord& record, const Outcome& outcome) {
  record.status = outcome.error.fault == Fault::none ? outcome.status : status_for_log(outcome.error);
  record.error = outcome.error;
  record.reason = Retry::reason_of(outcome);
}

// `passed`: the body that is kept as it passes; nullptr: it was read ahead, or there is none.
Outcome outcome_of(const Result<Unit>& ran, const Attempt& attempt, const AttemptRequest& what, const ReplayBody* passed) {
  Outcome outcome;
  if (!ran) outcome.error = ran.error();
  else outcome.status = attempt.head.status;
  const PeerExchange* exchange = attempt.exchange();
  outcome.connected = exchange != nullptr;
  if (!exchange) return outcome;
  outcome.sent = exchange->sent_bytes() > 0;
  outcome.refused = !ran && exchange->is_refused();
  outcome.stale = !ran && exchange->is_stale() && ran.error().fault != Fault::timeout && ran.error().side == Side::upstream;
  outcome.unread = outcome.stale && (!outcome.sent || (ran.error().fault == Fault::closed && exchange->is_unread()));
  outcome.body_lost = what.has_body && exchange->has_pulled_body() && passed && !passed->can_rewind();
  return outcome;
}

// $fail_reason of a request that no further try follows, for the reason `refused`, if any. A reply that is the answer, not the page for an
// error, makes up for what failed before.
void note_reason(Request& request, const Outcome& outcome, std::string_view refused) {
  if (!refused.empty()) request.fail_reason = refused;
  else if (outcome.error.fault != Fault::none) request.fail_reason = Retry::reason_of(outcome);
  else if (request.error_status == 0) request.fail_reason = {};
}

// Trailers are waited for only if that may lead to another try.
Task<Next> condition_of_reply(const ForwardPlan& plan, Attempt& attempt, bool may_try_again) {
  Next condition = plan.judge(attempt.head.headers);
  if (condition != Next::none || !plan.judges_trailers || !may_try_again) co_return condition;
  const Headers* trailers = co_await attempt.trailers_of_empty_reply();
  co_return trailers ? plan.judge(*trailers) : Next::none;
}

// A reply that ended early is no failure of the peer for max_fails, as in nginx, but the log and the metrics tell of it. True: it did.
bool note_cut(Request& request, Attempt& attempt, TryRecord& record) {
  if (!attempt.exchange()) return false;
  Outcome cut;
  if (attempt.head.status != 101) cut.error = attempt.body().error();
  if (cut.error.fault == Fault::none) return false;
  cut.connected = true;
  record.error = cut.error;
  record.reason = request.fail_reason = Retry::reason_of(cut);
  return true;
}

}  // namespace

// A request on its way to its peers. In the request's arena: the frames that wait hold little.
struct Forwarding {
  explicit Forwarding(const ForwardPlan& of) : plan(of) {}
  const ForwardPlan& plan;
  Target target;
  AttemptRequest what;
  const Body* source = nullptr;  // the body that what.body is, or was made of
  ReplayBody* passed = nullptr;  // what.body, where it is kept as it passes
};

// The client's leaving ends it: a reply that is to be stored is worth having all the same.
static bool may_abort(const ForwardPlan& plan) { return !plan.conf.ignore_client_abort && plan.conf.store.mode == StorePath::Mode::off; }

static bool passes_body(const Request& request, const ForwardPlan& plan) { return request.head.has_body() && plan.conf.pass_request_body; }

// One that the module made: it is in memory as a whole, or a translation of the client's, which is not made twice.
static void keep_made_body(Request& request, Forwarding& work) {
  uint64_t kept_max = work.plan.has_own_body ? UINT64_MAX : work.plan.conf.replay_buffer_size.bytes;
  work.what.body = work.passed = request.arena().make<ReplayBody>(*work.what.body, kept_max);
}

// When nothing has to be waited for any more before the first try.
static void prepare_tries(Request& request, Forwarding& work) {
  const ForwardPlan& plan = work.plan;
  work.passed = nullptr;
  // An upstream before an error_page or X-Accel-Redirect that led here may have been sent it.
  if (request.spooled_body) rewind_body(request);
  else if (passes_body(request, plan)) work.passed = &pass_body(request, plan.conf.replay_buffer_size.bytes);
  work.what.body = &request.body();
  work.source = work.what.body;
  plan.build(request, work.what, plan.module_plan);
  if (work.what.has_body && work.what.body != work.source) keep_made_body(request, work);
}

// The body that there was is sent again as it is: a translation of it may have been read in part.
static void build_again(Request& request, Forwarding& work, bool has_new_uri) {
  const ForwardPlan& plan = work.plan;
  AttemptRequest before = std::exchange(work.what, AttemptRequest());
  work.what.is_again = has_new_uri;
  work.what.body = &request.body();
  plan.build(request, work.what, plan.module_plan);
  if (!work.what.has_body || work.what.body == work.source) return;
  if (plan.has_own_body || !before.has_body) keep_made_body(request, work);
  else work.what.body = before.body;
}

// The chooser asks for the request to be made anew, or gave it another body.
static void follow_choice(Request& request, Forwarding& work, const PeerChoice& choice) {
  bool has_other_body = &request.body() != work.source;
  if (!choice.rebuilds && !has_other_body) return;
  if (!has_other_body) return build_again(request, work, true);
  work.what = AttemptRequest();
  work.what.is_again = true;
  prepare_tries(request, work);
}

static void begin_try(Request& request, Forwarding& work, TryRecord& record) {
  bool is_changed = false;
  for (const ForwardHook* hook : request.location->plan.forward)
    if (hook->begin && hook->begin(request, record)) is_changed = true;
  if (is_changed) build_again(request, work, work.what.is_again);
}

static constexpr Error access_denied{Fault::denied, Side::upstream, 0, "access to the upstream is denied"};

// The tries on one target.
static Task<Verdict> try_peers(Request& request, Forwarding& work) {
  const ForwardPlan& plan = work.plan;
  Target& target = work.target;
  std::optional<AbortScope> abortable;
  if (may_abort(plan)) abortable.emplace(request);
  Picker picker(request, target, plan.conf.next_upstream_tries);
  QueueStay stay;
  Pick pick = picker.pick_first();
  if (target.queue && pick.status != PickStatus::picked && picker.refused_status() == 0) pick = co_await picker.wait_in_queue(stay);
  Random& random = request.worker().state<Upstreams>().random();
  Retry retry(plan.conf, request.method, target.peers->try_count(), request.loop().now_ms());
  LastTry last;
  for (bool first = true;; first = false) {
    if (!first) pick = picker.pick(last);
    if (picker.refused_status() != 0) co_return Verdict::status(picker.refused_status());
    if (pick.status != PickStatus::picked) co_return no_peer(request, plan, target, stay);
    retry.allow_more(picker.more_tries(pick));
    if (const PeerChoice* choice = picker.choice()) follow_choice(request, work, *choice);
    Try one(request, plan, target, std::move(pick.lease), picker.choice());
    if (first) {
      one.record.new_group = request.tries != &one.record;
      one.record.queue_ms = stay.waited_ms;
    }
    request.logger.debug("http upstream: try {}", one.record.peer);
    begin_try(request, work, one.record);
    if (plan.renew) plan.renew(request, work.what, plan.module_plan);
    Result<Unit> ran = access_denied;
    bool allowed = !plan.allows || plan.allows(request, plan.module_plan);
    bool is_sent = allowed && one.attempt.begin(work.what);
    if (allowed && !is_sent) ran = co_await one.attempt.run(work.what);
    while (is_sent && !one.attempt.poll(ran)) {
      WaitStatus status = co_await one.attempt.readable();
      if (status != WaitStatus::timeout) continue;
      ran = Attempt::timed_out();
      break;
    }
    if (ran) one.note_reply();
    Outcome outcome = outcome_of(ran, one.attempt, work.what, work.passed);
    if (!allowed) outcome.condition = Next::denied;
    if (ran && plan.judge) outcome.condition = co_await condition_of_reply(plan, one.attempt, retry.has_tries());
    note_outcome(one.record, outcome);
    Again again = retry.again(outcome, request.loop().now_ms(), random);
    request.logger.debug("http upstream: {} status {}{}", one.record.peer, one.record.status, again == Again::no ? "" : ", another try");
    bool is_undone = again == Again::same_peer && (outcome.stale || outcome.refused);  // as if it had not been
    if (!ran && !is_undone) log_failure(request, outcome.error, one.attempt);
    if (again == Again::no) {
      note_reason(request, outcome, retry.refused());
      if (ran) {
        picker.note_reply(one.attempt.head.headers, one.peer());
        Relay relay{request, plan, one.attempt, one.record};
        relay.let_go = &Try::let_go;
        relay.of_try = &one;
        if (!try_relay(relay)) relay.verdict = co_await finish_relay(relay);
        if (!note_cut(request, one.attempt, one.record)) picker.note_end(one.peer());
        one.finish(TryEnd::ok);  // as nginx: a status is a failure of the peer only if another one is asked for it
        co_return relay.verdict;
      }
      one.finish(retry.is_failure(outcome) ? TryEnd::failed : TryEnd::unknown);
      co_return Verdict::status(Retry::status_of(outcome.error));
    }
    last = LastTry{true, again != Again::same_peer && retry.is_failure(outcome), one.record.status};
    uint32_t index = one.peer().index;
    one.finish(last.failed ? TryEnd::failed : again == Again::same_peer ? TryEnd::unknown : TryEnd::ok);
    if (again == Again::same_peer) picker.forget(index);
    if (again == Again::same_peer && outcome.stale) target.fresh_only = true;
    if (work.passed) work.passed->rewind();
    else rewind_body(request);
    if (retry.pause_ms() > 0) co_await Sleep(request.loop(), retry.pause_ms());
  }
}

// The body has to be there as a whole before the first try. One that came with its head is kept in any case: then it can be sent again.
static bool must_read_body(Request& request, const ForwardPlan& plan) {
  if (request.spooled_body) return false;
  const Framing& framing = request.head.framing;
  if (!request.head.has_body()) return framing.content_length == 0 && plan.conf.request_buffering && has_file_if_empty(request);
  if (is_body_lost(request)) return plan.conf.pass_request_body || plan.has_own_body;  // which fails
  if (!plan.conf.pass_request_body || plan.has_own_body) return true;  // what is sent instead may be made of it; its limits hold, too
  bool no_chunks = framing.chunked && !plan.can_send_chunked;
  return plan.conf.request_buffering || no_chunks || request.body().is_at_hand();
}

// For all tries together; 0: no limit.
static uint64_t time_of_tries(const ForwardPlan& plan) {
  uint64_t configured = plan.conf.request_timeout;
  if (configured == 0 || plan.time_ms == 0) return std::max(configured, plan.time_ms);
  return std::min(configured, plan.time_ms);
}

static Task<Verdict> find_and_try(Request& request, Forwarding& work) {
  const ForwardPlan& plan = work.plan;
  if (plan.group) {
    Upstream& upstream = request.worker().state<Upstreams>().of(*plan.group);
    if (upstream.awaits_names()) co_await upstream.names_known();
    work.target.use(upstream);
  } else {
    auto resolved = co_await resolve_target(request, plan.target, work.target);
    if (!resolved) {
      request.fail_reason = "UF";
      co_return Verdict::status(502);
    }
  }
  prepare_tries(request, work);
  co_return co_await try_peers(request, work);
}

// Names that are still to be found use up the time of the tries, too, but not a client that is slow with its body.
static Task<Verdict> prepare_and_try(Request& request, Forwarding& work) {
  const ForwardPlan& plan = work.plan;
  std::optional<AbortScope> abortable;
  if (may_abort(plan)) abortable.emplace(request);
  if (must_read_body(request, plan)) {
    auto read = co_await read_body(request);
    if (!read) co_return Verdict::status(Retry::status_of(read.error()));
  }
  uint64_t time_ms = time_of_tries(plan);
  if (time_ms == 0) co_return co_await find_and_try(request, work);
  Task<Verdict> tries = find_and_try(request, work);
  Deadline<Verdict> bounded(request.loop(), std::move(tries), request.loop().deadline(time_ms));
  auto verdict = co_await bounded;
  if (verdict) co_return *verdict;
  request.fail_reason = "DT";
  request.logger.error("upstream timed out: the request's time is over while forwarding");
  co_return Verdict::status(504);
}

// Plain, so that a request without a body to a group of the configuration does without a frame of its own here.
Task<Verdict> forward(Request& request, const ForwardPlan& plan) {
  request.upstream_headers = request.upstream_trailers = nullptr;  // of another upstream, before an error_page
  Forwarding& work = *request.arena().make<Forwarding>(plan);
  if (!plan.group || time_of_tries(plan) != 0 || must_read_body(request, plan)) return prepare_and_try(request, work);
  Upstream& upstream = request.worker().state<Upstreams>().of(*plan.group);
  if (upstream.awaits_names()) return prepare_and_try(request, work);
  work.target.use(upstream);
  prepare_tries(request, work);
  return try_peers(request, work);
}

}  // namespace fairlead::http
