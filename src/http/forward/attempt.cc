// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/attempt.h"

#include <algorithm>
#include <cerrno>

#include "event/tls/client.h"
#include "http/forward/forward.h"
#include "http/message/scan.h"

namespace fairlead::http {

Error Attempt::timed_out() { return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"}; }

// The earlier of a deadline (0: none) and the try's own.
uint64_t Attempt::bounded(uint64_t deadline_ms) const {
  if (!try_deadline_ms_) return deadline_ms;
  return deadline_ms ? std::min(deadline_ms, try_deadline_ms_) : try_deadline_ms_;
}

bool Attempt::begin(const AttemptRequest& what) {
  Loop& loop = request_.loop();
  what_ = &what;
  started_ms_ = loop.now_ms();
  try_deadline_ms_ = loop.deadline(target_.try_timeout_ms);
  asks_upgrade_ = what.asks_upgrade && !request_.is_subrequest;
  exchange_ = protocol_.try_open(call_of(what));
  return exchange_ && send(*what.body);
}

PeerCall Attempt::call_of(const AttemptRequest& what) {
  InterimHook interim;
  if (target_.hints) interim = {this, &Attempt::on_interim};
  return PeerCall{request_.worker(), request_.arena(), request_.logger, target_, what, head, place_, interim};
}

// What a peer may be told behind a body: nothing whose meaning was settled with the head, and no name that an application could take for
// another one. `but`: names that the configuration keeps.
static bool may_be_trailer(const Headers::Field& field, const HeaderNames& but) {
  auto is_plain = [](char byte) { return (scan::class_of(byte) & scan::name_plain) != 0; };
  return field.known == KnownHeader::other && !but.holds(field) && std::all_of(field.name.begin(), field.name.end(), is_plain);
}

// A client's body with those of its trailers that its peer gets: the client must not say there what the head may not say.
class SentBody final : public Body {
 public:
  SentBody(Body& source, const HeaderNames* trailers_but, Arena& arena) : source_(source), trailers_but_(trailers_but), arena_(arena) {}
  Poll poll(Chunk& chunk) override { return source_.poll(chunk); }
  Task<Result<Unit>> ready() override { return source_.ready(); }
  std::optional<uint64_t> size() const override { return source_.size(); }
  Error error() const override { return source_.error(); }
  const Headers* trailers() const override {
    const Headers* all = trailers_but_ ? source_.trailers() : nullptr;
    return all ? keep_fields(*all, arena_, [&](const Headers::Field& field) { return may_be_trailer(field, *trailers_but_); }) : nullptr;
  }

 private:
  Body& source_;
  const HeaderNames* trailers_but_;
  Arena& arena_;
};

Progress Attempt::pump(Body& body) {
  if (!what_->has_body) return exchange_->pump(body);
  SentBody sent(body, what_->trailers_but, request_.arena());
  return exchange_->pump(sent);
}

// False: the rest has to wait, for the peer or for the body.
bool Attempt::send(Body& body) {
  connect_ms_ = static_cast<int64_t>(request_.loop().now_ms() - started_ms_);
  sent_ = pump(body);
  request_sent_ = sent_ == Progress::done;
  awaits_reply_ = request_sent_ && exchange_->awaits_input();
  read_deadline_ms_ = bounded(request_.loop().deadline(target_.read_timeout_ms));
  return sent_ == Progress::done || sent_ == Progress::failed;
}

// A failed write says that the peer closed: it may have answered before, so its answer is looked for all the same.
bool Attempt::poll(Result<Unit>& result) {
  if (std::exchange(awaits_reply_, false)) return false;
  bool client_failed = sent_ == Progress::failed && exchange_->send_error().side == Side::client;
  HeadPoll polled = client_failed ? HeadPoll::pending : exchange_->poll_head();
  if (polled == HeadPoll::done) result = head_done();
  else if (polled == HeadPoll::failed) result = exchange_->head_error();
  else if (sent_ == Progress::failed) result = exchange_->send_error();
  else return false;
  return true;
}

Task<Result<Unit>> Attempt::run(const AttemptRequest& what) {
  bool is_sent = false;  // begin() said so where there is an exchange
  if (!exchange_) {
    PeerCall call = call_of(what);
    auto opened = co_await protocol_.open(call, bounded(request_.loop().deadline(target_.connect_timeout_ms)));
    if (!opened) co_return opened.error();
    exchange_ = *opened;
    is_sent = send(*what.body);
  }
  if (!is_sent) {
    upload_.start(send_rest(*what.body));
    co_return co_await head_beside_upload();
  }
  Result<Unit> result = Unit();
  while (!poll(result)) {
    WaitStatus status = co_await readable();
    if (status == WaitStatus::timeout) co_return timed_out();
  }
  co_return result;
}

void Attempt::on_interim(void* self, ResponseHead& interim) {
  Attempt& attempt = *static_cast<Attempt*>(self);
  if (interim.status == 103) pass_early_hints(attempt.request_, *attempt.target_.hints, interim.headers);
}

Result<Unit> Attempt::head_done() {
  header_ms_ = static_cast<int64_t>(request_.loop().now_ms() - started_ms_);
  if (head.status == 101 && !asks_upgrade_) return Error{Fault::malformed, Side::upstream, 0, "upstream sent unexpected 101 response"};
  if (!exchange_->is_headless()) return Unit();
  constexpr const char* what = "upstream sent no valid HTTP/1.0 header";
  // What lay on a kept connection before this request is nobody's answer to it.
  if (exchange_->is_reused() || target_.needs_head) return Error{Fault::malformed, Side::upstream, 0, what};
  While at(request_, doing());
  request_.logger.error("{}", what);
  return Unit();
}

bool Attempt::is_connecting() const { return !exchange_ && !(target_.connect.tls && target_.connect.tls->is_handshaking); }

std::string_view Attempt::doing() const {
  if (!exchange_) {
    return is_connecting() ? "connecting to upstream" : "SSL handshaking to upstream";
  }
  if (!request_sent_) return "sending request to upstream";
  return "reading response header from upstream";
}

// The reply may begin before the upload ends, and a peer that stops reading may have said why.
Task<Result<Unit>> Attempt::head_beside_upload() {
  for (;;) {
    HeadPoll polled = exchange_->poll_head();
    if (polled == HeadPoll::done) co_return head_done();
    if (polled == HeadPoll::failed) co_return exchange_->head_error();
    if (upload_.is_done() && !upload_seen_) {
      upload_seen_ = true;
      Result<Unit> uploaded = upload_.take();
      if (!uploaded && uploaded.error().side == Side::client) co_return uploaded.error();
      if (!uploaded && !exchange_->has_hung_up()) co_return uploaded.error();
      continue;
    }
    if (upload_seen_) {
      WaitStatus status = co_await exchange_->readable(bounded(request_.loop().deadline(target_.read_timeout_ms)));
      if (status == WaitStatus::timeout) co_return timed_out();
      continue;
    }
    Child<WaitStatus> readable;
    readable.start(wait_readable());
    co_await AnyOf(readable, upload_);
    if (readable.is_done() && readable.take() == WaitStatus::timeout) co_return timed_out();
  }
}

Task<const Headers*> Attempt::trailers_of_empty_reply() {
  Body& reply = exchange_->body();
  if (request_sent_) (void)co_await reply.ready();  // a failure is told again by poll()
  co_return reply.trailers();
}

Task<WaitStatus> Attempt::wait_readable() { co_return co_await exchange_->readable(try_deadline_ms_); }

Task<Result<Unit>> Attempt::send_rest(Body& body) {
  for (;;) {
    Progress progress = pump(body);
    if (progress == Progress::done) {
      request_sent_ = true;
      co_return Unit();
    }
    if (progress == Progress::failed) co_return exchange_->send_error();
    if (progress == Progress::need_body) {
      auto waited = co_await body.ready();
      if (!waited) co_return waited.error();
      continue;
    }
    uint64_t sent_bytes = exchange_->sent_bytes();
    WaitStatus status = co_await exchange_->writable(request_.loop().deadline(target_.send_timeout_ms));
    // Over HTTP/2 a window that opens little by little lets bytes go before there is room for more.
    if (status == WaitStatus::timeout && exchange_->sent_bytes() == sent_bytes) co_return timed_out();
  }
}

void Attempt::finish() {
  if (!exchange_) return;
  upload_.cancel();
  // After an upload that failed the peer still waits for its rest: the next request on the connection would be taken for it.
  if (const char* surplus = exchange_->end(request_sent_)) {
    While doing(request_, "reading upstream");
    request_.logger.warn("{}", surplus);
  }
  std::exchange(exchange_, nullptr)->~PeerExchange();
}

void Attempt::note_times(TryRecord& record) const {
  record.connect_ms = connect_ms_;
  record.header_ms = header_ms_;
  record.sent_bytes = exchange_ ? exchange_->sent_bytes() : 0;
  record.received_bytes = exchange_ ? exchange_->received_bytes() : 0;
}

}  // namespace fairlead::http
