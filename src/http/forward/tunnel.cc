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

// What a peer sends, as a body that lasts to its end, or to our Close frame behind which nothing of the peer's passes.
class PeerBytes final : public Body {
 public:
  // `end`: of a WebSocket that the worker's drain ends; else nullptr.
  PeerBytes(Connection& peer, PumpRules rules, WebSocketEnd* end) : peer_(peer), rules_(rules), end_(end) {}
  Poll poll(Chunk& chunk) override {
    if (end_ && end_->may_close() && !closed_until_ms_) {
      closed_until_ms_ = peer_.loop().deadline(end_->timeout_ms());
      chunk.clear();
      chunk.bytes = Slice(restart_frame);
      return Poll::ready;
    }
    for (;;) {
      Poll polled = fill();
      if (polled != Poll::ready) return polled;
      if (!closed_until_ms_) break;
      peer_.consume(peer_.unread().size());
    }
    *rules_.last_byte_ms = peer_.loop().now_ms();
    std::string_view unread = peer_.unread();
    chunk.clear();
    chunk.bytes = peer_.take_slice(end_ ? end_->frames.take(unread, end_->is_due()) : unread.size());
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override {
    for (;;) {
      uint64_t deadline = rules_.idle_timeout_ms ? *rules_.last_byte_ms + rules_.idle_timeout_ms : 0;
      if (closed_until_ms_) deadline = closed_until_ms_;
      WaitStatus status = co_await peer_.readable(deadline);
      if (status == WaitStatus::ready || (!closed_until_ms_ && end_ && end_->may_close())) co_return Unit();
      if (deadline == 0 || peer_.loop().now_ms() < deadline) continue;
      if (!closed_until_ms_) co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
      ended_ = true;
      co_return Unit();
    }
  }
  Error error() const override { return error_; }
  // Our Close frame was sent, and the peer has ended or had its time: there is nothing left to wait for.
  bool was_closed() const { return closed_until_ms_ && ended_; }

 private:
  // Ready: something is unread.
  Poll fill() {
    if (ended_) return Poll::end;
    if (!peer_.unread().empty()) return Poll::ready;
    IoResult result = peer_.fill(rules_.buffer_bytes, std::max<size_t>(rules_.buffer_bytes / 4, 1));
    if (result.status == IoStatus::ok) return Poll::ready;
    peer_.release_if_empty();
    if (result.status == IoStatus::again) return Poll::pending;
    ended_ = true;
    if (result.status == IoStatus::end || closed_until_ms_) return Poll::end;
    error_ = peer_.error_of(result, "recv() failed");
    return Poll::failed;
  }

  Connection& peer_;
  PumpRules rules_;
  WebSocketEnd* end_;
  uint64_t closed_until_ms_ = 0;  // our Close frame was given; the peer may end until then
  bool ended_ = false;
  Error error_;
};

// One half as a body, to the other side; its end is passed on.
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
    *rules.last_byte_ms = to.loop().now_ms();
    out.push_back(std::move(chunk.bytes));
    auto written = co_await to.write(out, rules.write_timeout_ms);
    if (!written) co_return written.error();
  }
}

// For clients whose connection carries other requests, too: both halves are bodies.
Task<Verdict> run_in_stream(Request& request, Connection& peer, PumpRules rules, WebSocketEnd* end) {
  request.response.body = request.arena().make<PeerBytes>(peer, rules, end);
  request.exchange.limit_body(UINT64_MAX, 0);
  Child<Result<Unit>> up;
  Child<Verdict> down;
  up.start(send_half(request.exchange.request_body(), peer, rules));
  down.start(send(request));
  co_await AnyOf(up, down);
  bool ended_well = !up.is_done() || static_cast<bool>(up.take());
  if (ended_well && !down.is_done()) (void)co_await down;  // a client that only ended its half still gets the rest
  if (!down.is_done()) request.exchange.abandon();
  co_return Verdict::done();
}

}  // namespace

Task<Verdict> run_tunnel(Request& request, const ForwardPlan& plan, Attempt& attempt) {
  Response& response = request.response;
  response.head.status = request.method == Method::connect ? 200 : 101;
  response.head.reason = attempt.head.reason;
  std::string_view protocol = attempt.head.headers.value(KnownHeader::upgrade);
  if (plan.edit_reply) plan.edit_reply(request, attempt.head, plan.module_plan);
  attempt.head.headers.remove_if([&](const Headers::Field& field) { return plan.conf.dropped.holds(field); });
  for (const Headers::Field& field : attempt.head.headers) response.head.headers.add(field.known, field.name, field.value);
  if (!protocol.empty()) response.head.headers.add(KnownHeader::upgrade, protocol);
  Connection* tunnel = attempt.tunnel();
  uint64_t last_byte_ms = request.loop().now_ms();
  PumpRules rules{plan.conf.read_timeout, plan.conf.send_timeout, &last_byte_ms};
  if (plan.tunnel_buffer_bytes) rules.buffer_bytes = plan.tunnel_buffer_bytes;
  std::optional<WebSocketEnd> end;
  const WebSocketDrain& drain = fairlead::conf<WebSocketConf>(request).drain;
  if (tunnel && drain.on && equal_nocase(protocol, "websocket")) end.emplace(request, tunnel->watch(), drain);
  if (request.head.version_major >= 2 && tunnel) co_return co_await run_in_stream(request, *tunnel, rules, end ? &*end : nullptr);
  response.body = request.arena().make<EmptyBody>();
  Verdict verdict = co_await send(request);
  if (request.exchange.is_broken() || !tunnel) co_return verdict;
  AbortPause until_end(request);
  Connection& client = request.client();
  Connection& peer = *tunnel;
  last_byte_ms = request.loop().now_ms();
  PeerBytes of_peer(peer, rules, end ? &*end : nullptr);
  Child<Result<Unit>> up, down;
  up.start(pump(client, peer, rules));
  if (end) down.start(send_half(of_peer, client, rules));
  else down.start(pump(peer, client, rules));
  co_await AnyOf(up, down);
  // One side ended its sending; the other may still finish. A failure or idleness ends both.
  bool ended_well = up.is_done() ? static_cast<bool>(up.take()) : static_cast<bool>(down.take());
  if (ended_well && !up.is_done() && !of_peer.was_closed()) (void)co_await up;
  else if (ended_well && !down.is_done()) (void)co_await down;
  request.exchange.abandon();
  co_return Verdict::done();
}

}  // namespace fairlead::http
