// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/server.h"

#include <algorithm>

#include "http/conf/listen.h"
#include "http/request/handle.h"
#include "http/request/linger.h"
#include "http/request/request.h"

namespace fairlead::http::h2 {

// The first block of a request's arena: head, stream, request and a dozen small texts fit.
static constexpr size_t request_arena_bytes = 4096;
// How long the client has to answer the PING between the two GOAWAYs.
static constexpr uint64_t round_trip_ms_max = 1000;

ServerConnection::ServerConnection(Connection& client, const ServerRules& rules, RequestSink& sink)
    : client_(client),
      rules_(rules),
      sink_(sink),
      session_(Role::server, client, rules.session, *this),
      alert_(*this),
      drain_(alert_),
      requests_(client.loop()) {
  sink.facts().worker.alert_drain(drain_);
}

ServerConnection::~ServerConnection() {
  ended_ = true;
  leave_idle();
  requests_.cancel();
  session_.lose();
  while (ServerStream::Opening* opening = opening_.pop_front()) Arena::Owner(&opening->stream.arena());
}

Stream* ServerConnection::open() {
  if (!head_until_ms_) head_until_ms_ = client_.loop().deadline(rules_.header_timeout_ms);
  Arena* arena = Arena::open(request_arena_bytes).release();
  ServerStream* stream = arena->make<ServerStream>(*this, *arena);
  opening_.push_back(stream->opening());
  return stream;
}

void ServerConnection::refused(Stream& stream) {
  auto& of = static_cast<ServerStream&>(stream);
  of.opening().unlink();
  Arena::Owner(&of.arena());
  if (opening_.empty()) head_until_ms_ = 0;
}

// Counts a request and tells when the last one has ended.
class ServerConnection::Serving {
 public:
  explicit Serving(ServerConnection& connection) : connection_(connection) { ++connection.serving_; }
  ~Serving() {
    --connection_.serving_;
    connection_.request_ended();
  }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

 private:
  ServerConnection& connection_;
};

Task<Unit> ServerConnection::serve(Arena::Owner arena, ServerStream* stream) {
  Serving serving(*this);
  ++sink_.facts().requests;
  Request* request = arena->make<Request>(*arena, stream->head(), *stream, sink_.facts());
  request->started_ms = stream->started_ms();
  stream->set_request(*request);
  HeadFault fault = stream->head_fault();
  Handling handling(*request);
  if (stream->is_closed() && fault.status == 0) {
    handling.give_up();
    co_return Unit();
  }
  const bool may_wait = !is_half_closed_ || stream->is_closed();  // a closed one waits for nobody
  bool ends = handling.try_begin(sink_, fault.status ? &fault : nullptr);
  if (!ends && may_wait) co_await handling;
  ends = (ends || may_wait) && handling.try_answer();
  if (!ends && may_wait) co_await handling;
  if (!ends && !may_wait) handling.leave();
  co_return Unit();
}

// After bytes were taken in: requests whose heads are complete begin. Those whose streams are closed by then, by the client, with the
// connection or for what the client sent, begin for the log alone: nobody is there to answer to.
void ServerConnection::begin_requests() {
  ServerStream::Opening* next = nullptr;
  for (ServerStream::Opening* at = opening_.front(); at; at = next) {
    next = opening_.next(*at);
    ServerStream& stream = at->stream;
    if (!stream.may_begin()) continue;
    at->unlink();
    Arena::Owner arena(&stream.arena());
    if (sink_.is_draining()) begin_shutdown();
    requests_.spawn(serve(std::move(arena), &stream));
  }
  if (opening_.empty()) head_until_ms_ = 0;
}

// The connection ends for what the client sent: a head that was under way, which nghttp2 may not have blamed, is where.
void ServerConnection::break_heads() {
  for (ServerStream::Opening* at = opening_.front(); at; at = opening_.next(*at))
    if (!at->stream.may_begin()) at->stream.take_violation(session_.violation());
}

void ServerConnection::request_ended() {
  if (serving_ > 0 || ended_) return;
  if (shutdown_ == Shutdown::final) session_.wake_runner();
  wait_idle();
}

// -- waiting --

void ServerConnection::wait_idle() {
  if (ended_ || is_idle_ || serving_ > 0 || shutdown_ != Shutdown::none) return;
  is_idle_ = true;
  sink_.idle(true);
  bool first = sink_.facts().requests == 0;
  idle_until_ms_ = client_.loop().deadline(first ? rules_.header_timeout_ms : rules_.keepalive_timeout_ms);
  if (deadline_ms() != UINT64_MAX) client_.watch().limit_read_wait(deadline_ms());
}

void ServerConnection::leave_idle() {
  if (!is_idle_) return;
  is_idle_ = false;
  sink_.idle(false);
}

// When the wait for bytes must end; UINT64_MAX: never.
uint64_t ServerConnection::deadline_ms() const {
  uint64_t deadline = UINT64_MAX;
  if (is_idle_ && idle_until_ms_) deadline = idle_until_ms_;
  if (is_idle_) deadline = std::min(deadline, sink_.idle_deadline_ms());
  if (head_until_ms_) deadline = std::min(deadline, head_until_ms_);
  if (shutdown_ == Shutdown::announced) deadline = std::min(deadline, shutdown_until_ms_);
  return deadline;
}

// False: the connection ends.
bool ServerConnection::on_timeout() {
  uint64_t now = client_.loop().now_ms();
  if (head_until_ms_ && now >= head_until_ms_) {
    session_.go_away(ErrorCode::protocol_error);
    for (ServerStream::Opening* at = opening_.front(); at; at = opening_.next(*at)) at->stream.time_out();
    begin_requests();
    return false;
  }
  if (shutdown_ == Shutdown::announced && now >= shutdown_until_ms_) ponged_ = true;
  if (shutdown_ == Shutdown::none && deadline_ms() <= now) begin_shutdown();
  return true;
}

void ServerConnection::begin_shutdown() {
  if (shutdown_ != Shutdown::none || ended_) return;
  leave_idle();
  shutdown_ = Shutdown::announced;
  shutdown_until_ms_ = client_.loop().now_ms() + round_trip_ms_max;
  // nghttp2 sends the PING first: some clients (hyper-h2) take none behind a GOAWAY. Both leave in one write.
  session_.announce_shutdown();
  session_.ping();
  client_.watch().limit_read_wait(shutdown_until_ms_);
}

// The client knows, and what it sent before it knew is here.
void ServerConnection::finish_shutdown() {
  if (shutdown_ != Shutdown::announced || !ponged_) return;
  shutdown_ = Shutdown::final;
  session_.go_away(ErrorCode::no_error);
}

// The client sends no more. It may have left, so nobody is asked for it; but it may still read what needs no waiting.
void ServerConnection::answer_at_once() {
  is_half_closed_ = true;
  if (opening_.empty()) return;
  begin_requests();
  session_.flush();
}

// Takes in what is there and starts what follows from it.
// A client that has said its preface and sends no request has none on its way: it gets a GOAWAY in time, and loses nothing by it.
void ServerConnection::note_begun() {
  if (sink_.facts().is_begun) return;
  sink_.facts().is_begun = true;
  leave_idle();
}

Session::ReadEnd ServerConnection::take_in() {
  uint64_t requests_before = sink_.facts().requests;
  Session::ReadEnd end = session_.read(rules_.read_bytes_max);
  if (std::string complaint = session_.take_complaint(); !complaint.empty()) tell("client sent invalid frames: " + complaint);
  if (end == Session::ReadEnd::ended) answer_at_once();
  if (end == Session::ReadEnd::ended || end == Session::ReadEnd::broken) session_.lose();
  if (session_.violation()) break_heads();
  if (!opening_.empty()) begin_requests();
  if (sink_.facts().requests != requests_before) leave_idle();
  finish_shutdown();
  // Answered, but not yet at their end: the last of them wakes the runner.
  return end == Session::ReadEnd::over && serving_ > 0 && !session_.violation() ? Session::ReadEnd::again : end;
}

Task<bool> ServerConnection::run() {
  session_.send();
  if (!client_.unread().empty()) note_begun();
  Session::ReadEnd end = take_in();  // the bytes by which the protocol was known
  while (end == Session::ReadEnd::again || end == Session::ReadEnd::more) {
    wait_idle();
    uint64_t deadline = deadline_ms();
    WaitStatus status = co_await client_.readable(deadline == UINT64_MAX ? 0 : deadline);
    if (status == WaitStatus::timeout && !on_timeout()) break;
    if (status == WaitStatus::ready) note_begun();
    end = take_in();
  }
  ended_ = true;
  leave_idle();
  if (session_.violation()) tell(session_.violation());
  const char* failure = end == Session::ReadEnd::broken ? client_.transport().failure_text() : nullptr;
  if (failure) tell(failure);
  session_.send();
  bool closed_by_client = end == Session::ReadEnd::ended || end == Session::ReadEnd::broken;
  if (!closed_by_client) (void)co_await session_.flushed(client_.loop().deadline(rules_.session.send_timeout_ms));
  session_.lose();
  requests_.close();
  co_await requests_.all_done();
  co_return !closed_by_client && !client_.is_broken();
}

Task<Unit> serve(Connection& client, const ServerRules& rules, RequestSink& sink) {
  bool may_send = false;
  {
    ServerConnection connection(client, rules, sink);
    may_send = co_await connection.run();
  }
  uint64_t time_ms = sink.is_draining() ? std::min<uint64_t>(rules.lingering_time_ms, round_trip_ms_max) : rules.lingering_time_ms;
  if (may_send && time_ms > 0) co_await linger(client, time_ms, rules.lingering_timeout_ms);
  co_return Unit();
}

}  // namespace fairlead::http::h2
