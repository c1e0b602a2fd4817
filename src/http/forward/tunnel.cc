// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/tunnel.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include "core/base/text.h"
#include "event/net/pump.h"
#include "http/forward/websocket.h"
#include "http/request/response.h"

namespace fairlead::http {

namespace {

// What a connection sends, as a body that lasts to its end.
class ConnectionBytes final : public Body {
 public:
  ConnectionBytes(Connection& from, size_t buffer_bytes) : from_(from), buffer_bytes_(buffer_bytes) {}
  Poll poll(Chunk& chunk) override {
    if (from_.unread().empty()) {
      if (ended_) return Poll::end;
      IoResult result = from_.fill(buffer_bytes_, std::max<size_t>(buffer_bytes_ / 4, 1));
      if (result.status != IoStatus::ok) return nothing(result);
    }
    chunk.clear();
    chunk.bytes = from_.take_slice(from_.unread().size());
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override {
    (void)co_await from_.readable(0);
    co_return Unit();
  }
  Error error() const override { return error_; }

 private:
  Poll nothing(const IoResult& result) {
    from_.release_if_empty();
    if (result.status == IoStatus::again) return Poll::pending;
    ended_ = true;
    if (result.status == IoStatus::end) return Poll::end;
    error_ = from_.error_of(result, "recv() failed");
    return Poll::failed;
  }

  Connection& from_;
  size_t buffer_bytes_;
  bool ended_ = false;
  Error error_;
};

// One half of a tunnel as it is passed on: notes the time of each byte, and fails once neither half has brought one for too long. That of
// a WebSocket's peer lasts, when the worker's drain ends it, to our Close frame, behind which nothing passes.
class HalfBytes final : public Body {
 public:
  // `end`: nullptr if the drain does not end it.
  HalfBytes(Loop& loop, Body& source, PumpRules rules, WebSocketEnd* end)
      : loop_(loop), source_(source), rules_(rules), end_(end), never_(loop) {}
  Poll poll(Chunk& chunk) override {
    if (end_ && end_->may_close() && !closed_until_ms_) {
      closed_until_ms_ = loop_.deadline(end_->timeout_ms());
      chunk.clear();
      chunk.bytes = Slice(restart_frame);
      return Poll::ready;
    }
    for (;;) {
      Poll polled = fetch();
      if (polled != Poll::ready) return polled;
      if (!closed_until_ms_) break;
      rest_ = Slice();
    }
    *rules_.last_byte_ms = loop_.now_ms();
    chunk.clear();
    chunk.bytes = rest_.cut_front(end_ ? end_->frames.take(rest_.view(), end_->is_due()) : rest_.size);
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override {
    while (rest_.empty()) {
      uint64_t deadline = rules_.idle_timeout_ms ? *rules_.last_byte_ms + rules_.idle_timeout_ms : 0;
      if (closed_until_ms_) deadline = closed_until_ms_;
      Child<Result<Unit>> arrived;
      Child<Unit> over;
      arrived.start(source_.ready());
      if (!arrived.is_done()) over.start(until(deadline));
      co_await AnyOf(arrived, over);
      if (arrived.is_done()) co_return arrived.take();
      if (!closed_until_ms_ && end_ && end_->may_close()) co_return Unit();
      if (deadline == 0 || loop_.now_ms() < deadline) continue;
      ended_ = true;
      if (closed_until_ms_) co_return Unit();
      error_ = Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
      co_return error_;
    }
    co_return Unit();
  }
  Error error() const override { return error_.fault == Fault::none ? source_.error() : error_; }
  // Our Close frame was sent, and the peer has ended or had its time: there is nothing left to wait for.
  bool was_closed() const { return closed_until_ms_ && ended_; }

 private:
  // Ready: there is something in rest_.
  Poll fetch() {
    if (!rest_.empty()) return Poll::ready;
    if (ended_) return closed_until_ms_ || error().fault == Fault::none ? Poll::end : Poll::failed;
    Chunk chunk;
    Poll polled = source_.poll(chunk);
    if (polled == Poll::ready) rest_ = std::move(chunk.bytes);
    if (polled == Poll::ready || polled == Poll::pending) return polled;
    ended_ = true;
    return closed_until_ms_ ? Poll::end : polled;
  }
  // Until our Close frame is due, or the deadline (0: none).
  Task<Unit> until(uint64_t deadline_ms) {
    Event& due = end_ && !end_->is_due() ? end_->due() : never_;
    (void)co_await due.wait(deadline_ms);
    co_return Unit();
  }

  Loop& loop_;
  Body& source_;
  PumpRules rules_;
  WebSocketEnd* end_;
  Event never_;
  Slice rest_;                    // came, and has not passed
  uint64_t closed_until_ms_ = 0;  // our Close frame was given; the peer may end until then
  bool ended_ = false;
  Error error_;
};

// Of one tunnel, in the frame of run_tunnel(). A side whose bytes come in a stream, among others on its connection, has no connection here.
struct Ends {
  Request& request;
  Attempt& attempt;
  PumpRules rules;
  WebSocketEnd* end;  // nullptr: the drain does not end it
  Connection* client;
  Connection* peer;
  HalfBytes* of_peer = nullptr;  // in the request's arena; nullptr: connection to connection, nothing to be put between
};

Body& bytes_of(Ends& ends, Connection* from, Body& stream) {
  if (!from) return stream;
  return *ends.request.arena().make<ConnectionBytes>(*from, ends.rules.buffer_bytes);
}

// One half to a connection; its end is passed on.
Task<Result<Unit>> send_half(Body& from, Connection& to, PumpRules rules) {
  Chunk chunk;
  Chain out;
  for (;;) {
    Poll polled = co_await next(from, chunk);
    if (polled == Poll::failed) co_return from.error();
    if (polled == Poll::end) {
      to.transport().shutdown_write();
      co_return Unit();
    }
    out.push_back(std::move(chunk.bytes));
    auto written = co_await to.write(out, rules.write_timeout_ms);
    if (!written) co_return written.error();
  }
}

Task<Result<Unit>> send_upward(Ends& ends) {
  if (ends.client && ends.peer) return pump(*ends.client, *ends.peer, ends.rules);
  Request& request = ends.request;
  PumpRules rules = ends.rules;
  if (!ends.client) rules.idle_timeout_ms = 0;  // the other half's says enough
  Body& from = bytes_of(ends, ends.client, request.exchange.request_body());
  Body& bytes = *request.arena().make<HalfBytes>(request.loop(), from, rules, nullptr);
  return ends.peer ? send_half(bytes, *ends.peer, rules) : ends.attempt.send_tunnel(bytes);
}

Task<Result<Unit>> send_response(Request& request) {
  (void)co_await send(request);
  co_return Unit();
}

Task<Result<Unit>> send_downward(Ends& ends) {
  Request& request = ends.request;
  if (ends.client && ends.peer && !ends.end) return pump(*ends.peer, *ends.client, ends.rules);
  Body& from = bytes_of(ends, ends.peer, ends.attempt.body());
  ends.of_peer = request.arena().make<HalfBytes>(request.loop(), from, ends.rules, ends.end);
  if (ends.client) return send_half(*ends.of_peer, *ends.client, ends.rules);
  request.response.body = ends.of_peer;
  return send_response(request);
}

// The reply's fields become the response's. Gives the protocol that was agreed on; empty for a CONNECT.
std::string_view settle_response(Request& request, const ForwardPlan& plan, Attempt& attempt) {
  Response& response = request.response;
  Headers& reply = attempt.head.headers;
  response.head.status = request.method == Method::connect ? 200 : 101;
  response.head.reason = attempt.head.reason;
  std::string_view protocol = reply.value(KnownHeader::upgrade);
  if (plan.edit_reply) plan.edit_reply(request, attempt.head, plan.module_plan);
  reply.remove_if([&](const Headers::Field& field) { return plan.conf.dropped.holds(field); });
  for (const Headers::Field& field : reply) response.head.headers.add(field.known, field.name, field.value);
  if (protocol.empty()) return protocol;
  response.head.headers.add(KnownHeader::upgrade, protocol);
  std::string_view key = request.head.headers.value(KnownHeader::sec_websocket_key);
  if (attempt.carries_tunnel() && !key.empty())  // the peer was not asked for it
    response.head.headers.add(KnownHeader::sec_websocket_accept, request.arena().copy(websocket_accept(key)));
  return protocol;
}

// An end that is none of its owner's wishes. Nothing is said of one without a text: it stands in the log already.
void log_half(Request& request, const Result<Unit>& half) {
  if (half || !*half.error().what) return;
  const Error& error = half.error();
  While doing(request, "proxying upgraded connection");
  bool is_clients = error.side == Side::client;
  if (error.fault == Fault::timeout) request.logger.info(Errno{ETIMEDOUT}, "{} timed out", is_clients ? "client" : "upstream");
  else request.logger.write(is_clients ? LogLevel::info : LogLevel::error, Errno{error.sys}, "{}", error.what);
}

// While the worker drains, for how long a tunnel of which one side has ended its sending may be silent: mostly that side is gone.
constexpr uint64_t silence_in_drain_ms = 5'000;

struct DrainBegin : Resumable {
  explicit DrainBegin(Worker& worker)
      : Resumable([](Resumable& r) { static_cast<DrainBegin&>(r).event.set(); }), event(worker.loop()), alert(*this) {
    worker.alert_drain(alert);
  }
  Event event;
  DrainAlert alert;
};

Task<Unit> silent_in_drain(Worker& worker, const uint64_t& last_byte_ms) {
  Loop& loop = worker.loop();
  DrainBegin drain(worker);
  (void)co_await drain.event.wait(0);
  uint64_t begin_ms = loop.now_ms();
  for (;;) {
    uint64_t end_ms = std::max(begin_ms, last_byte_ms) + silence_in_drain_ms;
    if (loop.now_ms() >= end_ms) co_return Unit();
    co_await Sleep(loop, end_ms - loop.now_ms());
  }
}

// What the other side still sends when one has ended its sending.
Task<Unit> finish_half(Request& request, Child<Result<Unit>>& half, const uint64_t& last_byte_ms) {
  Child<Unit> silent;
  silent.start(silent_in_drain(request.worker(), last_byte_ms));
  co_await AnyOf(half, silent);
  if (half.is_done()) log_half(request, half.take());
  else request.logger.info("a half-closed tunnel ends with its worker");
  co_return Unit();
}

}  // namespace

Task<Verdict> run_tunnel(Request& request, const ForwardPlan& plan, Attempt& attempt) {
  std::string_view protocol = settle_response(request, plan, attempt);
  uint64_t last_byte_ms = request.loop().now_ms();
  PumpRules rules{plan.conf.read_timeout, plan.conf.send_timeout, &last_byte_ms};
  if (plan.tunnel_buffer_bytes) rules.buffer_bytes = plan.tunnel_buffer_bytes;
  bool in_stream = request.head.version_major >= 2;
  bool exists = attempt.tunnel() || attempt.carries_tunnel();
  Verdict verdict = Verdict::done();
  if (!in_stream || !exists) {
    request.response.body = request.arena().make<EmptyBody>();
    verdict = co_await send(request);
    if (request.exchange.is_broken() || !exists) co_return verdict;
    last_byte_ms = request.loop().now_ms();
  }
  std::optional<WebSocketEnd> end;
  const WebSocketDrain& drain = fairlead::conf<WebSocketConf>(request).drain;
  if (drain.on && equal_nocase(protocol, "websocket")) end.emplace(request, drain);
  Ends ends{request, attempt, rules, end ? &*end : nullptr, in_stream ? nullptr : &request.client(), attempt.tunnel()};
  std::optional<AbortPause> until_end;  // a client's half-close is no abort
  if (in_stream) request.exchange.limit_body(UINT64_MAX, 0);
  else until_end.emplace(request);
  Child<Result<Unit>> up, down;
  up.start(send_upward(ends));
  down.start(send_downward(ends));
  co_await AnyOf(up, down);
  // One side ended its sending; the other may still finish. A failure or idleness ends both. A stream is over with its response.
  Result<Unit> ended = up.is_done() ? up.take() : down.take();
  bool ended_well = static_cast<bool>(ended);
  bool peer_is_through = in_stream || (ends.of_peer && ends.of_peer->was_closed());
  log_half(request, ended);
  if (ended_well && !up.is_done() && !peer_is_through) co_await finish_half(request, up, last_byte_ms);
  else if (ended_well && !down.is_done()) co_await finish_half(request, down, last_byte_ms);
  if (ends.client || !down.is_done()) request.exchange.abandon();
  co_return Verdict::done();
}

}  // namespace fairlead::http
