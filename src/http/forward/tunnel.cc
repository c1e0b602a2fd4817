// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/tunnel.h"

#include <cerrno>

#include "event/net/pump.h"
#include "http/request/response.h"

namespace fairlead::http {

namespace {

constexpr size_t read_bytes = 16 * 1024;

// What a peer sends, as a body that lasts to its end.
class PeerBytes final : public Body {
 public:
  PeerBytes(Connection& peer, PumpTimes times) : peer_(peer), times_(times) {}
  Poll poll(Chunk& chunk) override {
    if (ended_) return Poll::end;
    if (peer_.unread().empty()) {
      IoResult result = peer_.fill(read_bytes, read_bytes / 4);
      if (result.status != IoStatus::ok) peer_.release_if_empty();
      if (result.status == IoStatus::again) return Poll::pending;
      if (result.status == IoStatus::failed) error_ = peer_.error_of(result, "recv() failed");
      if (result.status == IoStatus::failed) return Poll::failed;
      ended_ = result.status == IoStatus::end;
      if (ended_) return Poll::end;
    }
    *times_.last_byte_ms = peer_.loop().now_ms();
    chunk.clear();
    chunk.bytes = peer_.take_slice(peer_.unread().size());
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override {
    for (;;) {
      WaitStatus status = co_await peer_.readable(times_.idle_timeout_ms ? *times_.last_byte_ms + times_.idle_timeout_ms : 0);
      if (status == WaitStatus::ready) co_return Unit();
      if (peer_.loop().now_ms() < *times_.last_byte_ms + times_.idle_timeout_ms) continue;
      co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
    }
  }
  Error error() const override { return error_; }

 private:
  Connection& peer_;
  PumpTimes times_;
  bool ended_ = false;
  Error error_;
};

// The client's half, to the peer; its end is passed on.
Task<Result<Unit>> send_up(Body& from, Connection& to, PumpTimes times) {
  Chunk chunk;
  Chain out;
  for (;;) {
    Poll polled = co_await next(from, chunk);
    if (polled == Poll::failed) co_return from.error();
    if (polled == Poll::end) {
      to.transport().shutdown_write();
      co_return Unit();
    }
    *times.last_byte_ms = to.loop().now_ms();
    out.push_back(std::move(chunk.bytes));
    auto written = co_await to.write(out, times.idle_timeout_ms);
    if (!written) co_return written.error();
  }
}

// For clients whose connection carries other requests, too: both halves are bodies.
Task<Verdict> run_in_stream(Request& request, Connection& peer, PumpTimes times) {
  request.response.body = request.arena().make<PeerBytes>(peer, times);
  request.exchange.limit_body(UINT64_MAX, 0);
  Child<Result<Unit>> up;
  Child<Verdict> down;
  up.start(send_up(request.exchange.request_body(), peer, times));
  down.start(send(request));
  co_await AnyOf(up, down);
  bool ended_well = !up.is_done() || static_cast<bool>(up.take());
  if (ended_well && !down.is_done()) (void)co_await down;  // a client that only ended its half still gets the rest
  if (!down.is_done()) request.exchange.abandon();
  co_return Verdict::done();
}

}  // namespace

Task<Verdict> run_tunnel(Request& request, const ForwardPlan& plan, Attempt& attempt, TryRecord& record) {
  Response& response = request.response;
  response.head.status = 101;
  response.head.reason = attempt.head.reason;
  for (const Headers::Field& field : attempt.head.headers) {
    if (field.known == KnownHeader::connection || field.known == KnownHeader::date || field.known == KnownHeader::server ||
        field.known == KnownHeader::keep_alive)
      continue;
    response.head.headers.add(field.known, field.name, field.value);
  }
  Connection* tunnel = attempt.tunnel();
  uint64_t last_byte_ms = request.loop().now_ms();
  PumpTimes times{plan.conf.read_timeout, &last_byte_ms};
  if (request.head.version_major >= 2 && tunnel) {
    uint64_t before = tunnel->received_bytes();
    Verdict ended = co_await run_in_stream(request, *tunnel, times);
    record.body_bytes += tunnel->received_bytes() - before;
    co_return ended;
  }
  response.body = request.arena().make<EmptyBody>();
  Verdict verdict = co_await send(request);
  if (request.exchange.is_broken() || !tunnel) co_return verdict;
  AbortPause until_end(request);
  Connection& client = request.client();
  Connection& peer = *tunnel;
  uint64_t received_before = peer.received_bytes();
  last_byte_ms = request.loop().now_ms();
  Child<Result<Unit>> up, down;
  up.start(pump(client, peer, times));
  down.start(pump(peer, client, times));
  co_await AnyOf(up, down);
  // One side ended its sending; the other may still finish. A failure or idleness ends both.
  bool ended_well = up.is_done() ? static_cast<bool>(up.take()) : static_cast<bool>(down.take());
  if (ended_well && !up.is_done()) (void)co_await up;
  else if (ended_well && !down.is_done()) (void)co_await down;
  record.body_bytes += peer.received_bytes() - received_before;
  request.exchange.abandon();
  co_return Verdict::done();
}

}  // namespace fairlead::http
