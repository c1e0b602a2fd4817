// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/attempt.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "event/net/connector.h"
#include "event/worker.h"
#include "http/forward/forward.h"

namespace fairlead::http {

#if defined(__linux__)
// The kernel's struct tcp_info up to the field we want; libc's may end before it (linux/tcp.h, since 4.1).
struct TcpCounters {
  struct tcp_info known;
  uint64_t pacing_rate, max_pacing_rate, bytes_acked;
};
#endif

using HeadPoll = h1::ClientExchange::HeadPoll;

static Error read_timed_out() { return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"}; }

// The earlier of a deadline (0: none) and the try's own.
uint64_t Attempt::bounded(uint64_t deadline_ms) const {
  if (!try_deadline_ms_) return deadline_ms;
  return deadline_ms ? std::min(deadline_ms, try_deadline_ms_) : try_deadline_ms_;
}

Task<Result<Unit>> Attempt::run(const AttemptRequest& what) {
  Loop& loop = request_.loop();
  started_ms_ = loop.now_ms();
  try_deadline_ms_ = loop.deadline(target_.try_timeout_ms);
  method_ = what.method;
  asks_upgrade_ = what.asks_upgrade;
  if (target_.pool) connection_ = target_.pool->take(target_.key);
  reused_ = connection_ != nullptr;
  if (!connection_) {
    Worker& worker = request_.worker();
    while (!worker.has_room() && target_.pool && target_.pool->close_oldest()) continue;
    if (!worker.has_room()) {
      request_.logger.error("{} worker_connections are not enough while connecting to upstream", worker.limits().connections_max);
      co_return Error{Fault::exhausted, Side::local, 0, "no connection is free"};
    }
    uint64_t deadline = bounded(loop.deadline(target_.connect_timeout_ms));
    auto connected = co_await connect(loop, target_.address, target_.connect, target_.key, deadline);
    if (!connected) co_return connected.error();
    connection_ = std::move(*connected);
    connection_->count_in(worker);
  }
  connect_ms_ = static_cast<int64_t>(loop.now_ms() - started_ms_);
  sent_before_ = connection_->connection.sent_bytes();
  received_before_ = connection_->connection.received_bytes();
  exchange_.emplace(connection_->connection, head, target_.body, target_.head_bytes_max);
  if (target_.hints) exchange_->on_interim(this, &Attempt::on_interim);
  h1::Sender& sender = exchange_->sender();
  sender.out().append_shared(what.head);
  sender.begin(what.framing, what.length);
  Progress sent = sender.pump(*what.body);
  if (sent == Progress::failed && sender.error().side == Side::client) co_return sender.error();
  // A failed write says that the peer closed: it may have answered before, so its answer is looked for all the same.
  if (sent == Progress::need_write || sent == Progress::need_body) {
    upload_.start(send_rest(*what.body));
    co_return co_await head_beside_upload();
  }
  request_sent_ = sent == Progress::done;
  uint64_t deadline = bounded(loop.deadline(target_.read_timeout_ms));
  for (;;) {
    HeadPoll polled = exchange_->poll_head(request_.arena(), method_);
    if (polled == HeadPoll::done) co_return head_done();
    if (polled == HeadPoll::failed) co_return exchange_->error();
    if (sent == Progress::failed) co_return sender.error();
    WaitStatus status = co_await connection_->connection.readable(deadline);
    if (status == WaitStatus::timeout) co_return read_timed_out();
  }
}

void Attempt::on_interim(void* self, ResponseHead& interim) {
  Attempt& attempt = *static_cast<Attempt*>(self);
  if (interim.status == 103) pass_early_hints(attempt.request_, *attempt.target_.hints, interim.headers);
}

Result<Unit> Attempt::head_done() {
  header_ms_ = static_cast<int64_t>(request_.loop().now_ms() - started_ms_);
  if (head.status == 101 && !asks_upgrade_) return Error{Fault::malformed, Side::upstream, 0, "upstream sent unexpected 101 response"};
  if (exchange_->is_headless()) {
    While at(request_, doing());
    request_.logger.error("upstream sent no valid HTTP/1.0 header");
    // What lay on a kept connection before this request is nobody's answer to it.
    if (reused_) return Error{Fault::malformed, Side::upstream, 0, "upstream sent no valid HTTP/1.0 header"};
  }
  return Unit();
}

std::string_view Attempt::doing() const {
  if (!connection_) return "connecting to upstream";
  if (!request_sent_) return "sending request to upstream";
  return "reading response header from upstream";
}

// The reply may begin before the upload ends, and a peer that stops reading may have said why.
Task<Result<Unit>> Attempt::head_beside_upload() {
  for (;;) {
    HeadPoll polled = exchange_->poll_head(request_.arena(), method_);
    if (polled == HeadPoll::done) co_return head_done();
    if (polled == HeadPoll::failed) co_return exchange_->error();
    if (upload_.is_done() && !upload_seen_) {
      upload_seen_ = true;
      Result<Unit> uploaded = upload_.take();
      request_sent_ = static_cast<bool>(uploaded);
      if (!uploaded && uploaded.error().side == Side::client) co_return uploaded.error();
      if (!uploaded && !connection_->connection.watch().has_hung_up()) co_return uploaded.error();
      continue;
    }
    if (upload_seen_) {
      WaitStatus status = co_await connection_->connection.readable(bounded(request_.loop().deadline(target_.read_timeout_ms)));
      if (status == WaitStatus::timeout) co_return read_timed_out();
      continue;
    }
    Child<WaitStatus> readable;
    readable.start(wait_readable());
    co_await AnyOf(readable, upload_);
    if (readable.is_done() && readable.take() == WaitStatus::timeout) co_return read_timed_out();
  }
}

Task<WaitStatus> Attempt::wait_readable() { co_return co_await connection_->connection.readable(try_deadline_ms_); }

Task<Result<Unit>> Attempt::send_rest(Body& body) {
  Connection& peer = connection_->connection;
  for (;;) {
    Progress progress = exchange_->sender().pump(body);
    if (progress == Progress::done) co_return Unit();
    if (progress == Progress::failed) co_return exchange_->sender().error();
    if (progress == Progress::need_body) {
      auto waited = co_await body.ready();
      if (!waited) co_return waited.error();
      continue;
    }
    WaitStatus status = co_await peer.writable(peer.loop().deadline(target_.send_timeout_ms));
    if (status == WaitStatus::timeout) co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
  }
}

void Attempt::finish() {
  if (!connection_) return;
  TryRecord ignored;
  note_times(ignored);
  sent_ = ignored.sent_bytes;
  received_ = ignored.received_bytes;
  bool uploaded = !upload_.is_started() || upload_.is_done();
  upload_.cancel();
  bool reusable = exchange_ && uploaded && !is_tunnel_ && exchange_->is_reusable();
  exchange_.reset();
  if (reusable && target_.pool) {
    ++connection_->requests;
    target_.pool->put(std::move(connection_));
  }
  connection_.reset();
}

Connection& Attempt::tunnel() {
  is_tunnel_ = true;
  return connection_->connection;
}

bool Attempt::nothing_acknowledged() const {
#if defined(__linux__)
  if (!connection_ || !target_.address.is_ip()) return false;
  TcpCounters info{};
  socklen_t size = sizeof info;
  if (getsockopt(connection_->connection.watch().fd(), IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return false;
  if (size < offsetof(TcpCounters, bytes_acked) + sizeof info.bytes_acked) return false;
  return info.bytes_acked <= sent_before_ + 1;  // the handshake's SYN counts as one
#else
  return false;
#endif
}

void Attempt::note_times(TryRecord& record) const {
  record.connect_ms = connect_ms_;
  record.header_ms = header_ms_;
  record.sent_bytes = sent_;
  record.received_bytes = received_;
  if (!connection_) return;
  record.sent_bytes = connection_->connection.sent_bytes() - sent_before_;
  record.received_bytes = connection_->connection.received_bytes() - received_before_;
}

}  // namespace fairlead::http
