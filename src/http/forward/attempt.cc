// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/attempt.h"

#include <cerrno>

#include "event/net/connector.h"

namespace fairlead::http {

using HeadPoll = h1::ClientExchange::HeadPoll;

static Error read_timed_out() { return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"}; }

Task<Result<Unit>> Attempt::run(const AttemptRequest& what) {
  Loop& loop = request_.loop();
  if (target_.pool) connection_ = target_.pool->take(target_.key);
  reused_ = connection_ != nullptr;
  if (!connection_) {
    auto connected = co_await connect(loop, target_.address, target_.connect, target_.key, loop.deadline(target_.connect_timeout_ms));
    if (!connected) co_return connected.error();
    connection_ = std::move(*connected);
  }
  exchange_.emplace(connection_->connection, head, target_.body, target_.head_bytes_max);
  h1::Sender& sender = exchange_->sender();
  sender.out() = what.head.share();
  sender.begin(what.framing, what.length);
  Progress sent = sender.pump(*what.body);
  if (sent == Progress::failed && sender.error().side == Side::client) co_return sender.error();
  // A failed write says that the peer closed: it may have answered before, so its answer is looked for all the same.
  if (sent == Progress::need_write || sent == Progress::need_body) upload_.start(send_rest(*what.body));
  if (upload_.is_started()) co_return co_await head_beside_upload();
  uint64_t deadline = loop.deadline(target_.read_timeout_ms);
  for (;;) {
    HeadPoll polled = exchange_->poll_head(request_.arena(), request_.head.method);
    if (polled == HeadPoll::done) co_return Unit();
    if (polled == HeadPoll::failed) co_return exchange_->error();
    if (sent == Progress::failed) co_return sender.error();
    WaitStatus status = co_await connection_->connection.readable(deadline);
    if (status == WaitStatus::timeout) co_return read_timed_out();
  }
}

// The reply may begin before the upload ends, and a peer that stops reading may have said why.
Task<Result<Unit>> Attempt::head_beside_upload() {
  for (;;) {
    HeadPoll polled = exchange_->poll_head(request_.arena(), request_.head.method);
    if (polled == HeadPoll::done) co_return Unit();
    if (polled == HeadPoll::failed) co_return exchange_->error();
    if (upload_.is_done()) {
      Result<Unit> uploaded = upload_.take();
      if (!uploaded && uploaded.error().side == Side::client) co_return uploaded.error();
      if (!uploaded && !connection_->connection.watch().has_hung_up()) co_return uploaded.error();
      WaitStatus status = co_await connection_->connection.readable(request_.loop().deadline(target_.read_timeout_ms));
      if (status == WaitStatus::timeout) co_return read_timed_out();
      continue;
    }
    Child<WaitStatus> readable;
    readable.start(wait_readable());
    co_await AnyOf(readable, upload_);
  }
}

Task<WaitStatus> Attempt::wait_readable() { co_return co_await connection_->connection.readable(0); }

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
  bool uploaded = !upload_.is_started() || upload_.is_done();
  upload_.cancel();
  bool reusable = exchange_ && uploaded && exchange_->is_reusable();
  exchange_.reset();
  if (reusable && target_.pool) {
    ++connection_->requests;
    target_.pool->put(std::move(connection_));
  }
  connection_.reset();
}

}  // namespace fairlead::http
