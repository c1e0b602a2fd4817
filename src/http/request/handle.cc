// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/handle.h"

#include "core/conf/error_log.h"
#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/conf/listen.h"
#include "http/message/status.h"
#include "http/message/uri.h"
#include "http/request/client_facts.h"
#include "http/request/error_page.h"
#include "http/request/given_up.h"
#include "http/request/phase.h"
#include "http/request/read_body.h"
#include "http/request/response.h"
#include "http/request/secure.h"
#include "http/request/unsaid_date.h"

namespace fairlead::http {

namespace {

void debug_head(const Request& request) {
  request.logger.debug("http request line: \"{}\"", request.head.request_line);
  for (const Headers::Field& field : request.head.headers) request.logger.debug("http header: \"{}: {}\"", field.name, field.value);
}

// RFC 9110 section 9.3.6. Its target is no path: locations are searched for "/". Whatever becomes of it, what the client has sent behind
// the head was meant for somebody else and is no request of this connection.
Verdict prepare_connect(Request& request) {
  request.response.keep_alive = false;
  request.uri = "/";
  if (!request.server->takes_connect) return Verdict::status(405);
  bool names_host = request.head.form == TargetForm::authority;
  if (request.head.has_body() || request.head.port == 0 || !names_host) {
    const char* what = !names_host ? "for a path" : request.head.has_body() ? "with a body" : "without a port";
    request.logger.info("client sent a CONNECT request {}", what);
    return Verdict::status(400);
  }
  return request.facts.listen.is_secure ? check_secure(request) : Verdict::next();
}

}  // namespace

static void log_dropped(Request& request) {
  While doing(request, "reading client request headers");
  for (const Headers::Field& field : *request.head.dropped)
    request.logger.info("client sent invalid header line: \"{}: {}\"", field.name, field.value);
}

// `server` nullptr: which one is meant could not be decided; the default server's words are those of the refusal.
static void enter_server(Request& request, Server* server) {
  request.server = server ? server : request.facts.listen.hosts.default_server;
  request.enter(*request.server->root);
  request.logger = Logger(*conf<ErrorLogConf>(request).log, request.facts.number, &request);
  if (request.facts.is_debugged) request.logger.force();
}

static bool take_uri(Request& request) {
  auto uri = normalise_uri(request.head.request_uri, conf<CoreConf>(request).merge_slashes, request.arena());
  if (!uri) {
    request.uri = request.head.path;
    return false;
  }
  request.uri = uri->path;
  request.args = uri->args.empty() ? std::string_view() : uri->args;
  return true;
}

void begin_refused(Request& request, const HeadFault& fault) {
  const ListenAddress& listen = request.facts.listen;
  bool is_named = !listen.is_secure && (fault.lacks_host || !request.head.host.empty());
  enter_server(request, is_named ? listen.hosts.find(request.head.host, &request) : listen.hosts.default_server);
  if (!request.head.request_uri.empty()) take_uri(request);
}

Verdict prepare(Request& request) {
  Server* server = request.facts.listen.hosts.find(request.head.host, &request);
  enter_server(request, server);
  if (request.logger.enabled(LogLevel::debug)) debug_head(request);
  if (request.head.dropped && request.logger.enabled(LogLevel::info)) [[unlikely]] log_dropped(request);
  if (!server) [[unlikely]] {
    take_uri(request);
    return Verdict::status(500);
  }
  if (request.head.method == Method::connect) return prepare_connect(request);
  if (request.head.method == Method::trace) {
    take_uri(request);
    While doing(request, "reading client request headers");
    request.logger.info("client sent TRACE method");
    return Verdict::status(405);
  }
  if (request.head.form == TargetForm::asterisk) {
    request.uri = "*";
    return Verdict::status(400);
  }
  if (!take_uri(request)) {  // a fault of the request line: which server is named was not asked yet
    enter_server(request, request.facts.listen.hosts.default_server);
    While doing(request, "reading client request line");
    request.logger.info("client sent invalid request");
    return Verdict::status(400);
  }
  return request.facts.listen.is_secure ? check_secure(request) : Verdict::next();
}

// Starts again with another URI, or in a named location with the one there is (which may still be passed on as the client wrote it: an
// escaped slash stays escaped). What an earlier location made of the response is forgotten, except fields a page should carry on
// (WWW-Authenticate and the like).
static void redirect(Request& request, const Verdict& to) {
  if (to.kind() == Verdict::Kind::redirect) {
    request.uri = to.uri();
    request.args = to.args();
    request.uri_changed = true;
  }
  request.logger.debug("internal redirect: \"{}?{}\"", request.uri, request.args);
  request.is_internal = true;
  request.left_location = false;
  request.alias_takes_uri = false;
  ++request.redirects;
  Response& response = request.response;
  if (request.error_status != 416) response.head.headers.remove(KnownHeader::content_range);
  response.head.framing.content_length = no_length;
  response.body = nullptr;
  response.content_type = {};
  response.last_modified = -1;
  response.etag = {};
  response.is_reply = false;
  response.adds_server = true;
  UnsaidDate::forget(request);
}

// Behind a try, lines about where it leads say how far it came, as in nginx: to a status (for which there may be an error_page), or to an
// X-Accel-Redirect. Empty: there was none.
static std::string_view was_doing(const Request& request, bool had_status) {
  if (!request.last_try()) return {};
  return had_status ? "sending to client" : "reading response header from upstream";
}

static Location* find_named(Request& request, std::string_view name, bool had_status) {
  auto found = request.server->named.find(name);
  if (found != request.server->named.end()) return found->second;
  While at(request, was_doing(request, had_status));
  request.logger.error("could not find named location \"{}\"", name);
  return nullptr;
}

static void end_cycle(Request& request, const Verdict& to, bool had_status) {
  While at(request, was_doing(request, had_status));
  bool is_named = to.kind() == Verdict::Kind::named;
  request.logger.error("rewrite or internal redirection cycle while {} \"{}\"",
                       is_named ? "redirect to named location" : "internally redirecting to", is_named ? to.name() : request.uri);
  request.in_error_page = true;  // the built-in page, whatever is configured
  request.error_status = 0;
}

// A status that nobody made a response for: an error_page leads on (then it gives that verdict), or the built-in page is sent; or neither.
static Task<Verdict> answer_status(Request& request, unsigned status, bool makes_pages) {
  if (request.exchange.head_sent()) {
    request.exchange.abandon();
    co_return Verdict::done();
  }
  request.logger.debug("http special response: {}, \"{}?{}\"", status, request.uri, request.args);
  request.response.head.status = static_cast<uint16_t>(status);
  if (status == 444 || status == 499) co_return Verdict::close();
  request.response.content_type_given = {};  // of what would have been sent instead
  if (request.exchange.request_body().error().fault == Fault::too_large) drop_body(request);
  if (!makes_pages) {
    set_status_alone(request, status);
    co_return co_await send(request);
  }
  if (auto page = take_error_page(request, status)) {
    if (!page->is_status()) co_return *page;
    status = page->status();
  }
  if (request.error_status && status < 300) status = request.error_status;  // a 204 for an error page keeps the error's status
  if (request.error_status) request.error_status = static_cast<uint16_t>(wire_status(status));
  set_built_in_page(request, status);
  co_return co_await send(request);
}

// Nothing more is to be done about it: an answer was sent, or nobody had an opinion.
static bool is_end(const Verdict& verdict) {
  Verdict::Kind kind = verdict.kind();
  return kind == Verdict::Kind::done || kind == Verdict::Kind::next || kind == Verdict::Kind::allow;
}

// What follows from the verdict of the phases: an answer, or the phases again for another URI or location.
static Task<Verdict> follow(Request& request, Verdict verdict, bool makes_pages = true) {
  Location* named = nullptr;
  bool had_status = false;
  for (;;) {
    switch (verdict.kind()) {
      case Verdict::Kind::status: {
        verdict = co_await answer_status(request, verdict.status(), makes_pages);
        had_status = true;
        continue;
      }
      case Verdict::Kind::redirect:
      case Verdict::Kind::named: {
        redirect(request, verdict);
        named = verdict.kind() == Verdict::Kind::named ? find_named(request, verdict.name(), had_status) : nullptr;
        bool cycle = request.redirects > internal_redirects_max;
        if (cycle) end_cycle(request, verdict, had_status);
        if (cycle || (verdict.kind() == Verdict::Kind::named && !named)) {
          verdict = Verdict::status(500);
          continue;
        }
        Task<Verdict> rest;
        if (!try_phases(request, named, verdict, rest)) verdict = co_await rest;
        continue;
      }
      case Verdict::Kind::respond: {
        if (!try_send(request, verdict)) verdict = co_await finish_send(request);
        continue;
      }
      case Verdict::Kind::close: request.exchange.abandon(); co_return verdict;
      default: co_return verdict;
    }
  }
}

// Its stream was reset for what the client sent on it, not given up by the client.
static bool is_broken_by_client(const Request& request) { return request.exchange.error().fault == Fault::malformed; }

const char* how_client_left(const Request& request) {
  return is_broken_by_client(request) ? "client sent invalid frames" : "client prematurely closed connection";
}

static void log_abort(Request& request) {
  const char* what = how_client_left(request);
  const TryRecord* record = request.last_try();
  if (!record) {
    request.logger.info("{}", what);
    return;
  }
  std::string_view doing = record->connect_ms < 0 ? "connecting to upstream"
                           : record->header_ms < 0 ? "reading response header from upstream" : "reading upstream";
  While at(request, doing);
  request.logger.info("{}, so upstream connection is closed too", what);
}

namespace {

// The end of a subrequest, also where it is broken off. Made first: what waits in it ends before, and completes the records of its tries.
class SubrequestEnd {
 public:
  // `place`: whose log phase it is told to; nullptr: that of the location it has come to.
  explicit SubrequestEnd(Request& request, const Location* place = nullptr) : request_(request), place_(place) {}
  ~SubrequestEnd() {
    if (!is_logged_) note_subrequest(request_, place_ ? *place_ : *request_.location);
  }
  SubrequestEnd(const SubrequestEnd&) = delete;
  SubrequestEnd& operator=(const SubrequestEnd&) = delete;
  void log() {
    is_logged_ = true;
    run_log_phase(request_);
  }

 private:
  Request& request_;
  const Location* place_;
  bool is_logged_ = false;
};

}  // namespace

Task<Unit> handle_subrequest(Request& request, bool makes_pages) {
  SubrequestEnd end(request);
  Verdict verdict = Verdict::next();
  Task<Verdict> content;
  if (!try_phases(request, nullptr, verdict, content)) verdict = co_await content;
  if (!is_end(verdict)) (void)co_await follow(request, verdict, makes_pages);
  if (conf<CoreConf>(request).log_subrequest) end.log();
  co_return Unit();
}

// It has no location of its own, but that of its parent is told of it.
Task<Unit> answer_subrequest(Request& request, Content content) {
  SubrequestEnd end(request, as_request(*request.parent).location);
  Verdict verdict = co_await content(request);
  if (verdict.kind() == Verdict::Kind::respond && !try_send(request, verdict)) verdict = co_await finish_send(request);
  if (!verdict.is_status() || request.exchange.head_sent()) co_return Unit();
  set_built_in_page(request, verdict.status());
  (void)co_await send(request);
  co_return Unit();
}

// The client has left in the middle of it.
[[gnu::cold]] static void end_abandoned(Request& request) {
  bool is_invalid = is_broken_by_client(request);
  if (!request.exchange.head_sent()) request.response.head.status = is_invalid ? 400 : 499;
  request.fail_reason = is_invalid ? "DPE" : "DC";
  log_abort(request);
  request.exchange.abandon();
}

Handling::Handling(Request& request) : Resumable(&Handling::on_gone), request_(request), verdict_(Verdict::next()) {
  WorkerRow& row = request.worker().row();
  add_to(row.requests);
  add_to(row.writing);
}

// What waits ends first: it completes the records of tries that the log tells of.
Handling::~Handling() {
  bool is_cut = frame_ && !is_done_;  // the worker's time to drain is over
  if (frame_) stop_watching();
  rest_.reset();
  if (has_left_) end_abandoned(request_);
  else if (is_cut) request_.exchange.abandon();
  run_log_phase(request_);
  take_from(request_.worker().row().writing);
}

void Handling::leave() {
  request_.slot<GivenUp>();
  has_left_ = true;
}

void Handling::give_up() {
  (void)prepare(request_);
  leave();
}

// What can be done at once does without a frame: a forwarded request has been answered by now, a text often fits the socket.
bool Handling::try_answer() {
  if (has_left_) return true;
  if (rest_) {
    verdict_ = rest_.promise().take();
    rest_.reset();
  }
  if (verdict_.kind() == Verdict::Kind::respond && !try_send(request_, verdict_)) rest_ = finish_send(request_);
  else if (!is_end(verdict_)) rest_ = follow(request_, verdict_);
  return !rest_;
}

void Handling::watch_client() {
  request_.until_gone_ = this;
  request_.exchange.alert_gone(this);
  if (request_.exchange.is_gone()) request_.loop().ready(*this);
}

void Handling::stop_watching() {
  frame_ = nullptr;
  request_.until_gone_ = nullptr;
  request_.exchange.alert_gone(nullptr);
  unlink();
}

void Handling::on_gone(Resumable& self) {
  auto& handling = static_cast<Handling&>(self);
  Request& request = handling.request_;
  if (handling.is_done_) return;
  while (ClientGone* waiter = request.gone_waiters_.pop_front()) request.loop().ready(*waiter);
  if (request.abort_scopes_ == 0) return;
  handling.has_left_ = true;
  handling.rest_.reset();
  request.loop().resume(handling.frame_);
}

}  // namespace fairlead::http
