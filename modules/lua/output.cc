// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/output.h"

#include <cerrno>

#include "http/request/content_type.h"
#include "http/request/response.h"
#include "modules/lua/conf.h"
#include "modules/lua/request_state.h"

namespace fairlead::lua {

using http::Progress;

// As nginx's postpone_output: less is not worth a write.
static constexpr size_t worth_a_write_bytes = 1460;

http::Poll PushBody::poll(http::Chunk& chunk) {
  writer_.flush();
  if (bytes_.empty()) {
    if (ended_) return http::Poll::end;
    filled_.reset();
    return http::Poll::pending;
  }
  chunk.clear();
  chunk.bytes = bytes_[0];
  waiting_ -= chunk.bytes.size;
  bytes_.drop_front(chunk.bytes.size);
  return http::Poll::ready;
}

Task<Result<Unit>> PushBody::ready() {
  co_await filled_.wait();
  co_return Unit();
}

std::optional<uint64_t> PushBody::size() const { return std::nullopt; }

Output::Output(http::Request& request) : request_(request), body_(request.loop()) {
  const RequestState& state = request.slot<RequestState>();
  bool knows_length = request.response.head.framing.content_length != http::no_length;
  buffered_ = !request.head.is_http_1_1() && request.head.version_major == 1 && conf<LuaConf>(request).http10_buffering && !knows_length &&
              !state.is_raw;
  if (!buffered_ && conf<LuaConf>(request).body_filter) body_.keep_apart();
}

void complete_head(http::Request& request) {
  http::Response& response = request.response;
  if (response.head.status == 0) response.head.status = 200;
  const RequestState& state = request.slot<RequestState>();
  bool typed = !response.content_type.empty() || response.head.headers.has(http::KnownHeader::content_type) || state.no_type;
  bool is_typed_here = !typed && response.head.status != 304;
  if (is_typed_here && conf<LuaConf>(request).use_default_type) response.content_type = http::content_type_of(request);
}

bool Output::commit() {
  if (committed_ || refused_) return committed_;
  complete_head(request_);
  request_.response.body = &body_;
  http::Verdict verdict = http::Verdict::done();
  committed_ = http::commit_head(request_, verdict);
  if (!committed_) refused_ = verdict;
  return committed_;
}

Output::Sent Output::print(std::string_view text) {
  if (body_.has_ended()) return Sent::ended;
  if (failed_) return Sent::failed;
  begun_ = true;
  if (!buffered_ && !commit()) return Sent::failed;
  if (!request_.response.head_only) body_.push(text);
  if (!buffered_ && body_.waiting() >= worth_a_write_bytes) pump();
  return failed_ ? Sent::failed : Sent::ok;
}

Output::Sent Output::send_head() {
  begun_ = true;
  if (buffered_) return Sent::ok;
  return commit() ? Sent::ok : Sent::failed;
}

// What is left is pushed on by a task of its own, unless one is at it.
void Output::pump() {
  if (beside_.is_started() && !beside_.is_done()) return;
  Progress progress = http::pump_response(request_);
  if (progress == Progress::failed) failed_ = true;
  if (progress == Progress::done) sent_ = true;
  if (progress != Progress::need_write) return;
  beside_.cancel();
  beside_.start(drain_beside());
}

void Output::flush() {
  if (commit()) pump();
}

Output::Sent Output::end() {
  if (body_.has_ended()) return Sent::ended;
  begun_ = true;
  if (buffered_) {
    buffered_ = false;
    request_.response.head.framing.content_length = static_cast<int64_t>(body_.waiting());
  }
  if (!commit()) return Sent::failed;
  body_.end();
  pump();
  return failed_ ? Sent::failed : Sent::ok;
}

Task<Unit> Output::drain_beside() {
  auto drained = co_await drain();
  if (!drained) failed_ = true;
  co_return Unit();
}

Task<Result<Unit>> Output::drain() {
  while (!failed_) {
    Progress progress = http::pump_response(request_);
    if (progress == Progress::failed) break;
    if (progress != Progress::need_write) co_return Unit();
    WaitStatus status = co_await request_.exchange.writable(request_.response.send_timeout_ms);
    if (status == WaitStatus::timeout) {
      request_.exchange.abandon();
      failed_ = true;
      co_return Error{Fault::timeout, Side::client, ETIMEDOUT, "timeout"};
    }
  }
  failed_ = true;
  co_return Error{Fault::reset, Side::client, 0, "nginx output filter error"};
}

bool Output::try_finish(http::Verdict& verdict) {
  end();
  if (refused_) {
    verdict = *refused_;
    return true;
  }
  beside_.cancel();
  verdict = http::Verdict::done();
  if (failed_ || sent_) return true;
  request_.response.ends_request = true;
  Progress progress = http::pump_response(request_);
  return progress == Progress::done || progress == Progress::failed;
}

Task<http::Verdict> Output::finish() {
  http::Verdict verdict = http::Verdict::done();
  if (!try_finish(verdict)) verdict = co_await http::finish_send(request_);
  co_return verdict;
}

void Output::abandon() {
  beside_.cancel();
  if (!failed_) http::pump_response(request_);
  request_.exchange.abandon();
}

}  // namespace fairlead::lua
