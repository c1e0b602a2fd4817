// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/fetch.h"

#include <cerrno>

#include "event/loop/child.h"
#include "event/worker.h"
#include "http/h1/request_writer.h"
#include "http/h2/request_writer.h"

namespace fairlead::http {
namespace {

constexpr size_t arena_bytes = 4096;

// One fetch under way. Destroying it ends the exchange where it is.
class Fetch {
 public:
  Fetch(Worker& worker, const Logger& logger, FetchPlan& plan);
  ~Fetch();
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  // Until the reply is there, or its failure.
  Task<Result<Unit>> run();
  Fetched take() { return std::move(fetched_); }

 private:
  template <class Writer>
  void write_head(Writer writer);
  Task<Result<Unit>> try_once();
  void end_try();
  Task<Result<Unit>> send();
  Task<Result<Unit>> read_head();
  Task<Result<Unit>> read_body();

  Worker& worker_;
  const Logger& logger_;
  FetchPlan& plan_;
  Fetched fetched_;
  RequestFields fields_;
  BytesBody body_;
  AttemptRequest what_;
  ExchangePlace place_;
  PeerExchange* exchange_ = nullptr;  // in it
  bool sent_ = false;
};

Fetch::Fetch(Worker& worker, const Logger& logger, FetchPlan& plan)
    : worker_(worker),
      logger_(logger),
      plan_(plan),
      fetched_{.arena = Arena::open(arena_bytes)},
      fields_(*fetched_.arena),
      body_(Slice(plan.body)) {
  fetched_.head = fetched_.arena->make<ResponseHead>(*fetched_.arena);
  what_.fields = &fields_;
  what_.body = &body_;
  what_.has_body = !plan.body.empty();
  what_.length = plan.body.size();
  what_.method = plan.method_of;
  write_head(h1::RequestWriter(*fetched_.arena, what_.head, plan.method, plan.path, "HTTP/1.1"));
  write_head(h2::RequestWriter(fields_, plan.method, plan.scheme, plan.path));
}

Fetch::~Fetch() { end_try(); }

void Fetch::end_try() {
  if (!exchange_) return;
  exchange_->end(sent_);
  std::exchange(exchange_, nullptr)->~PeerExchange();
}

template <class Writer>
void Fetch::write_head(Writer writer) {
  writer.field("Host", plan_.authority);
  for (const auto& [name, value] : plan_.fields) writer.field(name, value);
  if (what_.has_body) writer.field("Content-Length", uint64_t{*what_.length});
  writer.end();
}

Task<Result<Unit>> Fetch::run() {
  auto done = co_await try_once();
  if (done || !plan_.may_repeat || !exchange_ || !exchange_->is_stale()) co_return done;
  end_try();
  sent_ = false;
  body_ = BytesBody(Slice(plan_.body));
  plan_.target.is_fresh = true;
  co_return co_await try_once();
}

Task<Result<Unit>> Fetch::try_once() {
  PeerCall call{worker_, *fetched_.arena, logger_, plan_.target, what_, *fetched_.head, place_, {}};
  exchange_ = plan_.protocol.try_open(call);
  if (!exchange_) {
    auto opened = co_await plan_.protocol.open(call, worker_.loop().deadline(plan_.target.connect_timeout_ms));
    if (!opened) co_return opened.error();
    exchange_ = *opened;
  }
  auto sent = co_await send();
  if (!sent) co_return sent.error();
  auto head = co_await read_head();
  if (!head) co_return head.error();
  co_return co_await read_body();
}

Task<Result<Unit>> Fetch::send() {
  for (;;) {
    Progress progress = exchange_->pump(body_);
    if (progress == Progress::done) break;
    if (progress == Progress::failed) co_return exchange_->send_error();
    co_await exchange_->writable(0);
  }
  sent_ = true;
  co_return Unit();
}

Task<Result<Unit>> Fetch::read_head() {
  for (;;) {
    HeadPoll polled = exchange_->poll_head();
    if (polled == HeadPoll::done) co_return Unit();
    if (polled == HeadPoll::failed) co_return exchange_->head_error();
    co_await exchange_->readable(0);
  }
}

Task<Result<Unit>> Fetch::read_body() {
  Body& body = exchange_->body();
  for (;;) {
    Chunk chunk;
    Poll polled = co_await next(body, chunk);
    if (polled == Poll::failed) co_return body.error();
    if (polled != Poll::ready) break;
    if (fetched_.body.size() + chunk.bytes.size > plan_.reply_bytes_max)
      co_return Error{Fault::too_large, Side::upstream, 0, "the reply is too large"};
    fetched_.body.append(chunk.bytes.view());
  }
  fetched_.trailers = body.trailers();
  co_return Unit();
}

}  // namespace

std::string_view Fetched::last_field(std::string_view name) const {
  const Headers::Field* field = trailers ? trailers->find(name) : nullptr;
  if (!field) field = head->headers.find(name);
  return field ? field->value : std::string_view();
}

Task<Result<Fetched>> fetch(Worker& worker, Logger logger, FetchPlan plan) {
  Fetch one(worker, logger, plan);
  Task<Result<Unit>> running = one.run();
  Deadline<Result<Unit>> bounded(worker.loop(), std::move(running), worker.loop().deadline(plan.timeout_ms));
  std::optional<Result<Unit>> done = co_await bounded;
  if (!done) co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
  if (!*done) co_return done->error();
  co_return one.take();
}

}  // namespace fairlead::http
