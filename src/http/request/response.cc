// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/response.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/base/clock.h"
#include "core/base/escape.h"
#include "core/base/format.h"
#include "event/net/socket.h"
#include "event/worker.h"
#include "core/conf/error_log.h"
#include "http/conf/core_conf.h"
#include "http/message/status.h"
#include "http/message/uri.h"
#include "http/request/browser.h"
#include "http/request/client_facts.h"
#include "http/request/identity.h"
#include "http/request/read_body.h"
#include "http/request/uncut_body.h"
#include "http/request/unsaid_date.h"

namespace fairlead::http {

// "http://host:port" or "https://host:port" of this request, for redirects that are written as paths.
static std::string_view own_origin(Request& request) {
  const CoreConf& core = conf<CoreConf>(request);
  std::string_view host = core.server_name_in_redirect && request.server ? request.server->name : request.head.host;
  char text[Addr::text_max];
  Addr local = local_address(request.client().watch().fd());
  if (host.empty() && local.is_ip()) host = request.arena().copy({text, static_cast<size_t>(local.write_host(text) - text)});
  std::string_view scheme = request.facts.is_secure ? "https" : "http";
  uint16_t usual_port = request.facts.is_secure ? 443 : 80;
  if (core.port_in_redirect && local.is_ip() && local.port() != usual_port)
    return request.arena().copy(format("{}://{}:{}", scheme, host, local.port()));
  return request.arena().join({scheme, "://", host});
}

static void make_location_absolute(Request& request) {
  Headers& headers = request.response.head.headers;
  const Headers::Field* location = headers.find(KnownHeader::location);
  if (!location || request.response.foreign_location || location->value.empty() || location->value[0] != '/' ||
      !conf<CoreConf>(request).absolute_redirect)
    return;
  headers.set(KnownHeader::location, request.arena().join({own_origin(request), location->value}));
}

// Of its own size: the clock's text is made anew before a response that waits has left.
static std::string_view date_of_now(Arena& arena) {
  char* text = static_cast<char*>(arena.allocate(http_date_size, 1));
  std::memcpy(text, process_clock.http_date().data(), http_date_size);
  return {text, http_date_size};
}

static void add_dates(Request& request) {
  Response& response = request.response;
  Headers& headers = response.head.headers;
  bool ours = !request.is_subrequest;
  if (ours && response.adds_server && !headers.has(KnownHeader::server))
    headers.add(KnownHeader::server, server_header(conf<CoreConf>(request).server_tokens));
  if (ours && !headers.has(KnownHeader::date) && !UnsaidDate::of(request)) headers.add(KnownHeader::date, date_of_now(request.arena()));
  if (!response.content_type.empty()) headers.set(KnownHeader::content_type, response.content_type);
  if (response.last_modified >= 0 && has_last_modified(response.head.status)) {
    char* text = static_cast<char*>(request.arena().allocate(http_date_size, 1));
    format_http_date(response.last_modified, text);
    headers.set(KnownHeader::last_modified, {text, http_date_size});
  }
  if (!response.etag.empty()) headers.set(KnownHeader::etag, response.etag);
}

// RFC 9110 section 15.3.5: nothing is said about a body that cannot be.
static void drop_content(Response& response) {
  response.content_type = {};
  response.last_modified = -1;
  response.head.framing.content_length = no_length;
  response.head_only = true;
}

// keepalive_disable: old browsers lose what they send on a kept connection. MSIE 6 does so with POST only.
static bool is_kept_for_nobody(const Request& request, const CoreConf& core) {
  bool asked = core.keepalive_disable.has(KeepaliveDisable::safari) ||
               (request.head.method == Method::post && core.keepalive_disable.has(KeepaliveDisable::msie6));
  if (!asked) return false;
  Browser browser = browser_of(request.head.headers.value(KnownHeader::user_agent));
  return (browser.safari && core.keepalive_disable.has(KeepaliveDisable::safari)) ||
         (browser.msie6 && request.head.method == Method::post && core.keepalive_disable.has(KeepaliveDisable::msie6));
}

// The response of a subrequest becomes a part of another one: what belongs to the one that the client gets is done there.
static bool runs_for(const Request& request, Stage stage) {
  if (!request.is_subrequest || stage == Stage::store) return true;
  return !request.response.is_piece && (stage == Stage::script || stage == Stage::content);
}

// False: a filter refused the response.
static bool settle_head(Request& request) {
  Response& response = request.response;
  const CoreConf& core = conf<CoreConf>(request);
  if (request.error_status) {
    response.head.status = request.error_status;
    response.head.reason = {};
  }
  if (request.head.is_extended_connect && response.head.status / 100 == 2) [[unlikely]] {
    response.refused_status = 501;  // RFC 8441 section 5: a success would open what nobody here serves
    return false;
  }
  if (!response.content_type_given.empty() && !response.is_error_page) {  // another reply that has a type keeps it
    bool is_typed_reply = response.content_type.empty() && response.head.headers.has(KnownHeader::content_type);
    if (!is_typed_reply) response.content_type = response.content_type_given;
  }
  // A type that add_header says of a 204 stays: what answers gRPC calls with one is read by its type. So does one that a peer says.
  bool had_content = response.head.status != 204;
  if (!had_content && !response.is_reply) response.head.headers.remove(KnownHeader::content_type);
  for (const ResponseFilter* filter : request.location->plan.filters) {
    if (!runs_for(request, filter->stage)) continue;
    filter->apply(request);
    if (response.refused_status) return false;
  }
  if (!request.is_subrequest) make_location_absolute(request);
  if (response.head.status == 204) drop_content(response);
  if (response.head.status == 204 && had_content) response.head.headers.remove(KnownHeader::content_type);
  add_dates(request);
  if (request.method == Method::head || request.head.method == Method::head) response.head_only = true;
  if (response.head.framing.content_length == no_length && response.body && has_body(response.head.status)) {
    if (auto bytes = response.body->size()) response.head.framing.content_length = static_cast<int64_t>(*bytes);
  }
  response.send_timeout_ms = core.send_timeout;
  response.keepalive_timeout_ms = core.keepalive_timeout;
  response.allow_chunked = core.chunked_transfer_encoding;
  response.file_bytes_max = core.sendfile_max_chunk ? core.sendfile_max_chunk : UINT64_MAX;
  response.cork_files = core.tcp_nopush && core.sendfile;
  if (core.keepalive_timeout == 0 || request.facts.requests >= core.keepalive_requests ||
      request.loop().now_ms() - request.facts.started_ms >= core.keepalive_time || is_kept_for_nobody(request, core)) {
    response.keep_alive = false;
    response.is_last = true;
  }
  // The next request of this client would find nobody. HTTP/2 says so in its own way.
  if (request.facts.worker.is_draining() && request.head.version_major < 2) response.keep_alive = false;
  bool tells_timeout = response.keep_alive && request.head.framing.keep_alive && core.keepalive_header;
  if (tells_timeout && response.head.status != 101 && request.head.version_major < 2)
    response.head.headers.add("Keep-Alive", request.arena().copy(format("timeout={}", core.keepalive_header.s)));
  return true;
}

// A page takes the response's place: what the response said of itself does not hold for it. Where only the range was wrong, it does hold
// which fields of the request decide.
static Verdict drop_refused(Request& request) {
  Response& response = request.response;
  unsigned status = std::exchange(response.refused_status, uint16_t{0});
  response.head.reason = {};
  bool leads_away = is_redirect(status);
  response.head.headers.remove_if([status, leads_away](const Headers::Field& field) {
    if (status == 416 && field.known == KnownHeader::vary) return false;
    return field.known != KnownHeader::content_range && !(leads_away && field.known == KnownHeader::location);
  });
  response.head.framing.content_length = no_length;
  response.head_only = false;
  response.body = nullptr;
  request.slot<UncutBody>().below_script = nullptr;
  response.content_type = {};
  response.last_modified = response.last_modified_of_reply = -1;
  response.etag = {};
  response.is_reply = false;
  response.adds_server = true;
  UnsaidDate::forget(request);
  response.allow_ranges = false;
  return status == refused_in_silence ? Verdict::close() : Verdict::status(status);
}

// A response that was cut short must not look complete: its connection ends. An error without a text stands in the log already.
static void cut_response(Request& request, const Error& error) {
  if (*error.what || error.sys) {
    std::string_view sending = request.tries || request.doing.empty() ? std::string_view("sending to client") : request.doing;
    While doing(request, error.side == Side::upstream ? std::string_view("reading upstream") : sending);
    if (error.side == Side::client) request.logger.info(Errno{error.sys}, "{}", error.what);
    else request.logger.error(Errno{error.sys}, "{}", error.what);
  }
  if (error.fault == Fault::timeout && error.side == Side::client && conf<CoreConf>(request).reset_timedout_connection)
    request.exchange.reset_on_close();
  request.exchange.abandon();
}

bool commit_head(Request& request, Verdict& verdict) {
  if (!request.response.body) request.response.body = request.arena().make<EmptyBody>();
  if (settle_head(request)) {
    request.logger.debug("http response: {}, length {}", request.response.head.status, request.response.head.framing.content_length);
    return true;
  }
  verdict = drop_refused(request);
  return false;
}

bool is_chunked(const Request& request) {
  const Response& response = request.response;
  if (response.head.framing.content_length != no_length || !response.allow_chunked || !request.head.is_http_1_1()) return false;
  return has_body(response.head.status) && response.head.status != 101;
}

Progress pump_response(Request& request) {
  Progress progress = request.exchange.pump(request.response);
  if (progress == Progress::failed) cut_response(request, request.exchange.error());
  return progress;
}

bool try_send(Request& request, Verdict& verdict) {
  if (!commit_head(request, verdict)) return true;
  verdict = Verdict::done();
  request.response.ends_request = true;
  Progress progress = pump_response(request);
  return progress == Progress::done || progress == Progress::failed;
}

Task<Verdict> finish_send(Request& request) {
  auto sent = co_await respond(request.exchange, request.response);
  if (!sent) cut_response(request, sent.error());
  co_return Verdict::done();
}

Task<Verdict> send(Request& request) {
  Verdict verdict = Verdict::done();
  if (!try_send(request, verdict)) verdict = co_await finish_send(request);
  co_return verdict;
}

void set_text(Request& request, unsigned status, std::string_view content_type, std::string_view text) {
  Response& response = request.response;
  response.head.status = static_cast<uint16_t>(status);
  response.content_type = content_type;
  response.head.framing.content_length = static_cast<int64_t>(text.size());
  response.body = request.arena().make<BytesBody>(Slice(text));
}

// A line feed that a client smuggled into a variable ($uri is decoded) must not begin another field: control bytes go out as %XX.
void set_location(Request& request, std::string_view uri) {
  request.response.foreign_location = false;
  request.response.head.headers.set(KnownHeader::location, escaped(Escape::controls, uri, request.arena()));
}

void add_challenge(Request& request, std::string_view challenge) {
  Headers& headers = request.response.head.headers;
  for (const Headers::Field* field = headers.find(KnownHeader::www_authenticate); field; field = headers.next_same(*field))
    if (field->value == challenge) return;
  headers.add(KnownHeader::www_authenticate, request.arena().copy(challenge));
}

Verdict redirect_with_slash(Request& request) {
  std::string_view path = escaped(Escape::uri, request.uri, request.arena());
  std::string_view mark = request.args.empty() ? "" : "?";
  set_location(request, request.arena().join({path, "/", mark, request.args}));
  return Verdict::status(301);
}

Verdict apply_location_limits(Request& request) {
  Location& place = *request.location;
  bool is_named = place.match == Location::Match::named;
  if (place.otherwise && !(place.allowed_methods & method_bit(request.method))) request.enter(*place.otherwise);
  const CoreConf& core = conf<CoreConf>(request);
  request.logger = request.logger.with(*conf<ErrorLogConf>(request).log);
  int64_t announced = request.head.framing.content_length;
  // A place that answers in place of another, which has let the body in. As in nginx a named one still judges a body of unknown length.
  bool was_let_in = request.led_by_error_page || (is_named && announced != no_length);
  uint64_t bytes_max = core.client_max_body_size ? core.client_max_body_size : UINT64_MAX;
  request.body_bytes_max = was_let_in ? std::max(request.body_bytes_max, bytes_max) : bytes_max;
  request.exchange.limit_body(request.body_bytes_max, core.client_body_timeout);
  if (announced > 0 && static_cast<uint64_t>(announced) > request.body_bytes_max && !request.led_by_error_page) {
    request.logger.error("client intended to send too large body: {} bytes", announced);
    drop_body(request);
    request.fail_reason = "DPE";
    return Verdict::status(413);
  }
  return Verdict::next();
}

}  // namespace fairlead::http
