// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The reply of a peer becomes the response: its fields with those that are ours or of the connection taken out, its body pulled through
// the filters. Also X-Accel-*, intercepted errors, and the way into a tunnel.
#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "event/file/spool_file.h"
#include "event/worker.h"
#include "http/forward/forward.h"
#include "http/forward/store.h"
#include "http/forward/tunnel.h"
#include "http/message/known_header.h"
#include "http/message/status.h"
#include "http/message/uri.h"
#include "http/request/found_file.h"
#include "http/request/client_facts.h"
#include "http/request/response.h"
#include "http/request/spool.h"

namespace fairlead::http {

namespace {

// A message has one value of these at most. As in nginx the first counts, for us and for whoever gets the reply.
constexpr KnownHeaderSet single_valued(KnownHeader::content_type, KnownHeader::content_encoding, KnownHeader::date, KnownHeader::server,
                                       KnownHeader::last_modified, KnownHeader::etag, KnownHeader::expires, KnownHeader::accept_ranges,
                                       KnownHeader::location, KnownHeader::refresh, KnownHeader::x_accel_redirect,
                                       KnownHeader::x_accel_expires, KnownHeader::x_accel_limit_rate, KnownHeader::x_accel_buffering,
                                       KnownHeader::x_accel_charset);

[[gnu::cold]] void drop_repeated(Request& request, Headers& headers) {
  While doing(request, "reading response header from upstream");
  for (const Headers::Field& field : headers) {
    if (!single_valued.holds(field.known)) continue;
    const Headers::Field* first = headers.find(field.known);
    if (first == &field) continue;
    request.logger.warn("upstream sent duplicate header line: \"{}: {}\", previous value: \"{}: {}\", ignored", field.name, field.value,
                        first->name, first->value);
  }
  KnownHeaderSet seen;
  headers.remove_if([&seen](const Headers::Field& field) {
    if (!single_valued.holds(field.known)) return false;
    bool repeats = seen.holds(field.known);
    seen.add(field.known);
    return repeats;
  });
}

// What a redirected X-Accel response keeps of the reply.
constexpr KnownHeaderSet kept_by_accel(KnownHeader::content_type, KnownHeader::set_cookie, KnownHeader::cache_control, KnownHeader::expires,
                                       KnownHeader::accept_ranges, KnownHeader::content_disposition);

// The pieces of a reply's head that change what happens next. Nothing: go on.
std::optional<Verdict> take_accel(Request& request, const ForwardPlan& plan, ResponseHead& reply) {
  const Headers& headers = reply.headers;
  const Flags<Ignore>& ignore = plan.conf.ignore_headers;
  if (headers.has(KnownHeader::x_accel_limit_rate) && !ignore.has(Ignore::x_accel_limit_rate)) {
    auto rate = parse_decimal(headers.value(KnownHeader::x_accel_limit_rate));
    if (rate) request.response.rate_bytes = *rate ? *rate : UINT64_MAX;
  }
  if (!ignore.has(Ignore::x_accel_charset))
    request.response.charset_given = request.arena().copy(headers.value(KnownHeader::x_accel_charset));
  const Headers::Field* where = headers.find(KnownHeader::x_accel_redirect);
  if (!where || ignore.has(Ignore::x_accel_redirect)) return std::nullopt;
  std::string_view to = request.arena().copy(where->value);
  if (plan.edit_reply) plan.edit_reply(request, reply, plan.module_plan);
  std::vector<Headers::Field> kept;
  for (const Headers::Field& field : headers)
    if (kept_by_accel.holds(field.known)) kept.push_back(field);
  for (const Headers::Field& field : kept) {
    if (field.known == KnownHeader::content_type) {
      request.response.content_type_given = request.arena().copy(field.value);
      continue;
    }
    request.response.head.headers.add(field.known, field.name, request.arena().copy(field.value));
  }
  if (to.starts_with('@')) return Verdict::named(request.arena(), to);
  auto uri = parse_internal_uri(to, request.arena());
  if (!uri) {
    While doing(request, "reading response header from upstream");
    request.logger.error("unsafe URI \"{}\" was detected", to);
    return Verdict::status(404);
  }
  if (request.method != Method::head) {
    request.method = Method::get;
    request.method_text = "GET";
  }
  return Verdict::redirect(request.arena(), uri->path, uri->args);
}

bool is_intercepted(Request& request, const ForwardPlan& plan, uint16_t status) {
  if (!plan.conf.intercept_errors || status < 300) return false;
  for (const ErrorPage& page : conf<CoreConf>(request).error_pages)
    if (page.status == status) return true;
  return false;
}

// RFC 9110 section 11.6.1: a page of ours in place of a 401 says all the same how to authenticate.
void keep_challenges(Request& request, const ResponseHead& reply) {
  if (reply.status != 401) return;
  const Headers& from = reply.headers;
  for (const Headers::Field* field = from.find(KnownHeader::www_authenticate); field; field = from.next_same(*field))
    request.response.head.headers.add(KnownHeader::www_authenticate, request.arena().copy(field->value));
}

bool is_buffered(const ForwardConf& conf, const Headers& headers) {
  bool has_say = conf.obeys_x_accel_buffering && !conf.ignore_headers.has(Ignore::x_accel_buffering);
  if (!has_say || !headers.has(KnownHeader::x_accel_buffering)) return conf.buffering;
  std::string_view wish = headers.value(KnownHeader::x_accel_buffering);
  if (equal_nocase(wish, "no")) return false;
  return conf.buffering || equal_nocase(wish, "yes");
}

void note_facts(Response& response, const Headers& headers) {
  const Headers::Field* modified = headers.find(KnownHeader::last_modified);
  if (auto seconds = modified ? parse_http_date(modified->value) : std::nullopt) response.last_modified_of_reply = *seconds;
  response.content_type_of_reply = headers.value(KnownHeader::content_type);
}

// Bytes of a slow client's response that wait in memory and, beyond that, in a file.
Spool* read_ahead(Request& request, const ForwardConf& conf) {
  struct ReplyFile final : SpoolWatcher {
    ReplyFile(Request& of, BlockingPool& pool, const TempPath& from)
        : request(of), path{std::string(from.path), {from.levels[0], from.levels[1], from.levels[2]}}, file(pool, path) {}
    void begins_file(const std::string& name) override {
      While doing(request, "reading upstream");
      request.logger.warn("an upstream response is buffered to a temporary file {}", name);
    }
    Request& request;
    SpoolPath path;
    SpoolFile file;
  };
  ReplyFile* file = nullptr;
  if (conf.max_temp_file_size) file = request.arena().make<ReplyFile>(request, writing_pool(request), conf.temp_path);
  SpoolLimits limits;
  limits.memory_bytes = conf.buffers.count * conf.buffers.bytes;
  limits.file_bytes = conf.max_temp_file_size;
  limits.file_write_bytes = conf.temp_file_write_bytes();
  Spool* spool = request.arena().make<Spool>(request.loop(), *request.response.body, limits, file ? &file->file : nullptr);
  spool->watch_file(file);
  request.response.body = spool;
  spool->read_ahead();
  return spool;
}

// The disk failed: the client waits for the peer instead, and gets all the same.
void log_file_error(Request& request, const Spool& spool) {
  if (spool.file_error().fault == Fault::none) return;
  While doing(request, "reading upstream");
  request.logger.crit(Errno{spool.file_error().sys}, "{}", spool.file_error().what);
}

// The Spool lies in the arena and outlives the connection it reads from: whatever ends the relay ends the reading.
struct ReadingAhead {
  Spool* spool = nullptr;
  ~ReadingAhead() {
    if (spool) spool->stop();
  }
};

// $upstream_http_* shows the reply as it came; the list is edited in place, so a copy is kept where such a variable may be asked for.
void keep_original(Request& request, const Headers& headers) {
  if (!request.generation().shows_upstream_fields && !conf<CoreConf>(request).shows_upstream_fields) return;
  Headers* original = request.arena().make<Headers>(request.arena(), static_cast<uint32_t>(headers.size() + 1));
  for (const Headers::Field& field : headers) original->add(field.known, field.name, field.value);
  request.upstream_headers = original;
}

// The reply announces what another method would get (RFC 9110 section 8.6), by proxy_method HEAD, to a client that awaits it.
bool lacks_body(const Relay& relay) {
  const ResponseHead& reply = relay.attempt.head;
  bool awaits_body = relay.request.method != Method::head && has_body(reply.status);
  return relay.attempt.asked_for_head() && awaits_body && reply.framing.content_length > 0;
}

// As with nginx the client is told the length all the same. In HTTP/1 the connection ends, so that nobody waits for the rest or takes the
// next response for it; in HTTP/2 such a message would be malformed, and the length is that of the body that comes.
void announce_no_body(Request& request) {
  Response& response = request.response;
  if (request.head.version_major >= 2) {
    response.head.framing.content_length = no_length;
    return;
  }
  response.head_only = true;
  response.keep_alive = false;
}

// Counts what passes, for $upstream_response_length, holds it back to proxy_limit_rate, and drops trailers unless they are wanted.
class ReplyBody final : public Body {
 public:
  // `relay`: as long as the body is polled. `rate`: bytes a second, 0 for no limit.
  ReplyBody(Relay& relay, uint64_t rate)
      : loop_(relay.request.loop()),
        relay_(relay),
        source_(relay.attempt.body()),
        rate_(rate),
        is_head_(relay.request.head.method == Method::head) {}
  Poll poll(Chunk& chunk) override {
    if (is_over_) return Poll::end;
    if (rate_ && next_ms_ > loop_.now_ms()) return Poll::pending;
    Poll polled = source_.poll(chunk);
    if (polled == Poll::end) end();
    if (polled != Poll::ready) return polled;
    relay_.record.body_bytes += chunk.size();
    // The next read waits until the time that these bytes take at that rate is over.
    if (rate_) next_ms_ = std::max(next_ms_, loop_.now_ms()) + chunk.size() * 1000 / rate_;
    return polled;
  }
  Task<Result<Unit>> ready() override {
    if (is_over_) co_return Unit();
    uint64_t now = loop_.now_ms();
    if (rate_ && next_ms_ > now) {
      co_await Sleep(loop_, next_ms_ - now);
      co_return Unit();
    }
    co_return co_await source_.ready();
  }
  // The answer to HEAD has no body, but what a GET would get may have any size.
  std::optional<uint64_t> size() const override {
    if (is_head_) return std::nullopt;
    return is_over_ ? std::optional<uint64_t>(0) : source_.size();
  }
  Error error() const override { return is_over_ ? Error() : source_.error(); }
  // The log asks, too, when the try is gone.
  const Headers* trailers() const override { return trailers_; }

 private:
  void end() {
    // Here already, not only when the response has been sent: its own trailers and the filters at its end may say what the peer's are.
    relay_.request.upstream_trailers = source_.trailers();
    const Headers* all = relay_.plan.conf.pass_trailers ? source_.trailers() : nullptr;
    const HeaderNames& dropped = relay_.plan.conf.dropped;
    if (all && !trailers_)
      trailers_ = keep_fields(*all, relay_.request.arena(), [&](const Headers::Field& field) { return !dropped.holds(field); });
    if (!relay_.request.response.outlasts_reply) return;
    is_over_ = true;
    relay_.let_go(relay_.of_try);
  }

  Loop& loop_;
  Relay& relay_;
  Body& source_;
  uint64_t rate_;
  uint64_t next_ms_ = 0;  // nothing is read before
  const Headers* trailers_ = nullptr;  // those that the client gets; once the source has ended
  bool is_head_;
  bool is_over_ = false;  // and the source is gone
};

// proxy_limit_rate of this request; what is no size limits nothing.
uint64_t rate_of(Request& request, const ForwardConf& conf) {
  if (conf.limit_rate.bytes) return *conf.limit_rate.bytes;
  std::string_view text = conf.limit_rate.text.evaluate(request);
  if (text.empty()) return 0;
  auto bytes = parse_size(text, SizeUnits::up_to_giga);
  if (!bytes) request.logger.error("invalid rate limit \"{}\"", text);
  return bytes.value_or(0);
}

}  // namespace

// Of whoever asked for one: the reply is no message, but the begin of a tunnel.
static bool opens_tunnel(const Relay& relay) { return relay.attempt.head.status == 101 || relay.request.method == Method::connect; }

bool try_relay(Relay& relay) {
  Request& request = relay.request;
  const ForwardConf& conf = relay.plan.conf;
  ResponseHead& reply = relay.attempt.head;
  relay.attempt.note_times(relay.record);
  Response& response = request.response;
  request.upstream_headers = &reply.headers;
  if (reply.headers.may_repeat()) [[unlikely]] drop_repeated(request, reply.headers);
  if (opens_tunnel(relay)) return false;
  if (is_intercepted(request, relay.plan, reply.status)) {
    keep_challenges(request, reply);
    relay.verdict = Verdict::status(reply.status);
    return true;
  }
  keep_original(request, reply.headers);
  if (auto redirected = take_accel(request, relay.plan, reply)) {
    relay.verdict = *redirected;
    return true;
  }
  response.head.status = reply.status;
  response.head.reason = reply.reason;
  response.head.framing.content_length = reply.framing.content_length;
  if (lacks_body(relay)) announce_no_body(request);
  response.reads_ahead = is_buffered(conf, reply.headers);
  response.is_reply = response.foreign_location = true;
  if (conf.passes_server) response.adds_server = reply.headers.has(KnownHeader::server);
  std::optional<FilePlace> place = store_place(request, conf, reply);
  if (relay.plan.edit_reply) relay.plan.edit_reply(request, reply, relay.plan.module_plan);
  response.head.headers.take_over(reply.headers, [&](const Headers::Field& field) { return conf.dropped.holds(field); });
  if (request.upstream_headers == &reply.headers) request.upstream_headers = &response.head.headers;
  note_facts(response, response.head.headers);
  response.body = request.arena().make<ReplyBody>(relay, rate_of(request, conf));
  if (place) response.body = relay.stored = request.arena().make<StoredBody>(request, *response.body, conf.temp_path, std::move(*place));
  if (conf.force_ranges && reply.status == 200 && reply.framing.content_length != no_length) {
    response.head.headers.remove(KnownHeader::accept_ranges);
    response.allow_ranges = true;
  }
  relay.sent = try_send(request, relay.verdict);
  if (!relay.sent || relay.stored) return false;
  if (relay.attempt.exchange()) request.upstream_trailers = relay.attempt.body().trailers();
  return true;
}

static Task<Verdict> send_rest(Relay& relay) {
  Request& request = relay.request;
  ReadingAhead reading;
  if (request.response.reads_ahead) reading.spool = read_ahead(request, relay.plan.conf);
  Verdict verdict = co_await finish_send(request);
  if (reading.spool) log_file_error(request, *reading.spool);
  co_return verdict;
}

Task<Verdict> finish_relay(Relay& relay) {
  if (opens_tunnel(relay)) co_return co_await run_tunnel(relay.request, relay.plan, relay.attempt);
  Verdict verdict = relay.verdict;
  if (!relay.sent) verdict = co_await send_rest(relay);
  if (relay.stored) co_await relay.stored->drain();
  if (relay.attempt.exchange()) relay.request.upstream_trailers = relay.attempt.body().trailers();
  co_return verdict;
}

void pass_early_hints(Request& request, const ForwardConf& conf, Headers& fields) {
  if (!holds_any(fairlead::conf<CoreConf>(request).early_hints, request)) return;
  fields.remove_if([&](const Headers::Field& field) { return conf.dropped.holds(field); });
  request.exchange.send_interim(103, &fields);
}

}  // namespace fairlead::http
