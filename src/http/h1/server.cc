// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/server.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "http/conf/core_conf.h"
#include "http/h1/write.h"
#include "http/message/status.h"
#include "http/request/handle.h"
#include "http/request/linger.h"

namespace fairlead::http::h1 {

// Of a body, so many bytes are copied behind its head if they begin it: a second piece costs the socket more.
static constexpr uint32_t joined_bytes_max = 512;

ServerExchange::ServerExchange(Connection& client, const RequestHead& head, const BodyRules& rules, Trailers* trailers)
    : client_(client),
      head_(head),
      rules_(rules),
      body_(client, request_coding(head.framing), head.framing.content_length, rules_, trailers),
      sender_(client),
      sent_before_(client.sent_bytes()),
      received_before_(client.received_bytes() - client.unread().size()) {
  if (head.expect_continue && head.has_body()) body_.on_first_wait(this, &ServerExchange::send_continue);
}

void ServerExchange::send_continue(void* self) { static_cast<ServerExchange*>(self)->send_interim(100, nullptr); }

// RFC 9110 section 15.2: not to a client of HTTP/1.0, and never once the final head is on its way.
void ServerExchange::send_interim(uint16_t status, const Headers* headers) {
  if (head_written_ || !head_.is_http_1_1()) return;
  {
    ChainWriter writer(sender_.out(), 64);
    Headers none(head_.headers.arena(), 0);
    write_response_head(writer, StatusLine{status, {}, 1}, headers ? *headers : none);
  }
  head_bytes_ = sent_bytes() + sender_.out().size();
  client_.try_write(sender_.out());  // what does not fit now leaves ahead of the head
}

// In the request's arena, with room for `joined_bytes` of the body behind it.
void ServerExchange::put_head(const ResponseHead& head, const HeadEnd& end, uint32_t joined_bytes) {
  Arena& arena = head_.headers.arena();
  StatusLine line{head.status, head.reason, 1};
  size_t room = response_head_bytes_max(line, head.headers) + joined_bytes;
  char* begin = static_cast<char*>(arena.allocate(room, 1));
  char* behind = append_response_head(begin, line, head.headers, end);
  arena.give_back(behind + joined_bytes, begin + room);
  sender_.out().push_back(Slice({begin, static_cast<size_t>(behind - begin)}));
  sender_.set_room_behind(joined_bytes);
}

void ServerExchange::write_head(Outgoing& response) {
  ResponseHead& head = response.head;
  HeadEnd end;
  SendFraming framing = SendFraming::none;
  int64_t length = head.framing.content_length;
  bool bodiless = !has_body(head.status);
  keep_alive_ = response.keep_alive && head_.framing.keep_alive && !body_.has_failed();
  bool connects = head_.method == Method::connect && head.status / 100 == 2;  // RFC 9110 section 9.3.6: no framing fields
  if (head.status == 101 || connects) {
    keep_alive_ = false;
    opens_tunnel_ = true;
    end.connection = connects ? ConnectionOption::none : ConnectionOption::upgrade;
    end.length = Length::none;
    framing = SendFraming::until_close;
  } else if (bodiless) {
    end.length = head.status == 304 && length != no_length ? Length::known : Length::none;
  } else if (length != no_length) {
    end.length = Length::known;
    framing = SendFraming::length;
  } else if (response.head_only) {
    end.length = Length::none;  // of a body that will not come, nothing is known to say
  } else if (head_.is_http_1_1() && response.allow_chunked) {
    end.length = Length::chunked;
    framing = SendFraming::chunked;
  } else {
    end.length = Length::none;
    framing = SendFraming::until_close;
    keep_alive_ = false;
  }
  if (response.head_only && head.status != 101) framing = SendFraming::none;
  if (length != no_length) end.length_bytes = static_cast<uint64_t>(length);
  if (end.connection == ConnectionOption::as_listed) end.connection = keep_alive_ ? ConnectionOption::keep_alive : ConnectionOption::close;
  uint32_t joined_bytes = framing == SendFraming::chunked ? joined_bytes_max : 0;
  if (framing == SendFraming::length && length <= joined_bytes_max) joined_bytes = static_cast<uint32_t>(length);
  if (head_.version_major > 0) put_head(head, end, joined_bytes);  // HTTP/0.9 has no head
  head_bytes_ = sent_bytes() + sender_.out().size();
  sender_.begin(framing, length == no_length ? 0 : static_cast<uint64_t>(length));
  head_written_ = true;
}

Progress ServerExchange::pump(Outgoing& response) {
  if (!head_written_) {
    sender_.gather_up_to(response.gather_bytes);
    sender_.limit_files(response.file_bytes_max, response.cork_files);
    write_head(response);
  }
  if (!keep_alive_ && response.ends_request && !opens_tunnel_) sender_.ends_connection();
  Progress progress = sender_.pump(*response.body);
  if (progress == Progress::done) finished_ = true;
  return progress;
}

Task<WaitStatus> ServerExchange::writable(uint64_t timeout_ms) {
  co_return co_await client_.writable(client_.loop().deadline(timeout_ms));
}

Connection* ServerExchange::take_connection() {
  if (!sender_.out().empty()) return nullptr;
  if (!head_written_) sender_.begin(SendFraming::none);
  head_written_ = finished_ = true;
  keep_alive_ = false;
  return &client_;
}

namespace {

enum class HeadStep : uint8_t { done, failed, need_read, closed, timed_out };

// Reads what is there and parses. Plain. `closed`: `why` says how.
HeadStep read_head(Connection& client, RequestParser& parser, const ServerRules& rules, Error& why) {
  for (;;) {
    if (!client.unread().empty()) {
      switch (parser.parse(client.unread())) {
        case ParseResult::done: return HeadStep::done;
        case ParseResult::failed: return HeadStep::failed;
        default: break;
      }
    }
    if (!client.may_read()) return HeadStep::need_read;
    // A head that outgrows the first buffer moves to one that any allowed head fits.
    size_t capacity = client.unread().size() < rules.header_buffer_bytes ? rules.header_buffer_bytes : parser.rules().head_bytes_max + 1;
    IoResult result = client.fill(capacity);
    if (result.status == IoStatus::again) return HeadStep::need_read;
    if (result.status == IoStatus::ok) continue;
    why = result.status == IoStatus::failed ? client.error_of(result, "recv() failed")
                                            : Error{Fault::closed, Side::client, 0, "client prematurely closed connection"};
    return HeadStep::closed;
  }
}

// For how long what a client still sends is read once it has its answer. Milliseconds; a time of 0: not at all.
struct LingerRules {
  uint64_t time_ms = 0;
  uint64_t timeout_ms = 0;
  bool always = false;
};

// What the place that answered says. Asked for only where the client may still be sending.
LingerRules lingering_of(const Request& request, const ServerRules& rules) {
  if (!request.block) return {rules.lingering_time_ms, rules.lingering_timeout_ms, rules.linger_always};
  const CoreConf& core = conf<CoreConf>(request);
  if (core.lingering_close == Lingering::off) return {};
  return {core.lingering_time, core.lingering_timeout, core.lingering_close == Lingering::always};
}

// Whether the client sent more than was read of it. A socket closed over such bytes is reset, and the client may lose the answer then.
bool has_sent_more(Connection& client, const ServerRules& rules) {
  if (!client.unread().empty()) return true;
  if (!client.may_read()) return false;
  return client.fill(rules.header_buffer_bytes).status == IoStatus::ok;
}

enum class After : uint8_t { next_request, close, linger };

// How a request left its connection, and for how long: that may be idle then, or is read on. In 16 bytes: it lies in the frame of every
// connection.
struct Left {
  After after = After::close;
  uint32_t linger_timeout_ms = 0;
  uint64_t time_ms = 0;
};

Left left_to_linger(LingerRules lingering) {
  if (lingering.time_ms == 0) return Left();
  return Left{After::linger, static_cast<uint32_t>(std::min<uint64_t>(lingering.timeout_ms, UINT32_MAX)), lingering.time_ms};
}

// After the answer: what the client still sends of its request is read and dropped, for a while. What cannot be read as a body is still
// read, to the client's end: it may not have its answer yet.
Task<Left> drop_rest(Connection& client, ReceivedBody& body, LingerRules lingering, uint64_t idle_ms) {
  Loop& loop = client.loop();
  uint64_t ends_ms = loop.now_ms() + lingering.time_ms;
  for (;;) {
    Poll dropped = body.discard();
    if (dropped == Poll::end) co_return Left{After::next_request, 0, idle_ms};
    uint64_t now_ms = loop.now_ms();
    if (now_ms >= ends_ms) co_return Left();
    if (dropped == Poll::failed) {
      lingering.time_ms = ends_ms - now_ms;
      co_return left_to_linger(lingering);
    }
    if (dropped == Poll::ready) {
      co_await Yield(loop);
      continue;
    }
    WaitStatus status = co_await client.readable(std::min(ends_ms, now_ms + lingering.timeout_ms));
    if (status == WaitStatus::timeout) co_return Left();
  }
}

// After the answer, as far as this request decides; `idle_ms`: of the connection if it goes on.
Task<Left> after_answer(Connection& client, const ServerRules& rules, ServerExchange& exchange, LingerRules lingering, uint64_t idle_ms) {
  ReceivedBody& body = exchange.body();
  if (client.is_broken()) co_return Left();
  if (!exchange.keeps_alive()) {
    bool lingers = lingering.always || !body.is_complete() || has_sent_more(client, rules);
    co_return lingers ? left_to_linger(lingering) : Left();
  }
  if (body.is_complete()) co_return Left{After::next_request, 0, idle_ms};
  exchange.lift_body_limit();
  co_return co_await drop_rest(client, body, lingering, idle_ms);
}

// While the rest of a head is waited for the sink knows of it, however that ends.
class Reading {
 public:
  explicit Reading(RequestSink& sink) : sink_(sink) { sink_.reading(true); }
  ~Reading() { sink_.reading(false); }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

 private:
  RequestSink& sink_;
};

// The client ended instead of a head.
void tell_ended(Connection& client, RequestSink& sink) {
  if (const char* failure = client.transport().failure_text()) sink.broken(failure, "waiting for request");
  else if (!client.is_broken()) sink.ended();
}

// Of a head that did not become a request. In its arena.
[[gnu::cold]] const HeadFault* fault_of(HeadStep step, const RequestParser& parser, RequestHead& head, const Error& why) {
  if (head.version_major == 0) head.version_major = 1;  // what is broken is not HTTP/0.9: it gets an answer with a head
  HeadFault* fault = head.headers.arena().make<HeadFault>(parser.error());
  if (step == HeadStep::failed) return fault;
  *fault = step == HeadStep::timed_out ? HeadFault(408, "client timed out") : HeadFault(400, why.what);
  fault->in_request_line = !parser.has_request_line();
  fault->sys = step == HeadStep::timed_out ? ETIMEDOUT : why.sys;
  return fault;
}

// One request, from its first byte to its log. Everything of it lies in its arena, gone when this frame is.
Task<Left> serve_one(Connection& client, const ServerRules& rules, RequestSink& sink, bool pipelined) {
  uint64_t started_ms = client.loop().now_ms();
  ClientFacts& facts = sink.facts();
  Arena::Owner arena = Arena::open(rules.arena_bytes);
  RequestHead* head = arena->make<RequestHead>(*arena);
  RequestParser parser(*head, rules.head, facts.listen.hosts.host_rules());
  uint64_t deadline = client.loop().deadline(rules.header_timeout_ms);
  HeadStep step;
  Error why;
  while ((step = read_head(client, parser, rules, why)) == HeadStep::need_read) {
    Reading reading(sink);
    WaitStatus status = co_await client.readable(deadline);
    if (status == WaitStatus::timeout) {
      step = HeadStep::timed_out;
      break;
    }
  }
  // Neither one that has left nor one that has sent nothing but empty lines waits for an answer.
  if (step == HeadStep::closed || (step == HeadStep::timed_out && !parser.started())) client.mark_broken();
  SegmentRef pin = client.segment();  // views of the head point into it
  if (step == HeadStep::done) client.consume(parser.consumed());
  else parser.describe(client.unread());
  Trailers* trailers = head->framing.chunked ? arena->make<Trailers>(*arena, 0u) : nullptr;
  ServerExchange* exchange = arena->make<ServerExchange>(client, *head, rules.body, trailers);
  ++facts.requests;
  Request* request = arena->make<Request>(*arena, *head, *exchange, facts);
  request->started_ms = started_ms;
  request->is_pipelined = pipelined;
  const HeadFault* fault = step == HeadStep::done ? nullptr : fault_of(step, parser, *head, why);
  if (fault || sink.is_draining()) request->response.keep_alive = false;
  {
    Handling handling(*request);  // until its log
    if (!handling.try_begin(sink, fault)) co_await handling;
    if (!handling.try_answer()) co_await handling;
  }
  if (fault) co_return client.is_broken() ? Left() : left_to_linger(lingering_of(*request, rules));
  Left left{After::next_request, 0, request->response.keepalive_timeout_ms};
  bool simple = exchange->keeps_alive() && exchange->body().is_complete();
  if (!simple) left = co_await after_answer(client, rules, *exchange, lingering_of(*request, rules), left.time_ms);
  co_return left;
}

}  // namespace

Task<Unit> serve(Connection& client, const ServerRules& rules, RequestSink& sink) {
  Left left{After::next_request, 0, rules.header_timeout_ms};
  while (left.after == After::next_request) {
    bool pipelined = sink.facts().requests > 0 && !client.unread().empty();
    if (client.unread().empty()) {
      uint64_t timeout_ms = left.time_ms == UINT64_MAX ? rules.keepalive_timeout_ms : left.time_ms;
      sink.idle(true);
      uint64_t deadline = std::min(client.loop().deadline(timeout_ms), sink.idle_deadline_ms());
      WaitStatus status;
      IoStatus got;  // also what came in the same turn as the end of the wait
      // Called readable as long as no read has met the end: a body whose length is known is read without.
      do {
        client.release_if_empty();
        status = co_await client.readable(deadline);
        got = client.fill(rules.header_buffer_bytes).status;
      } while (got == IoStatus::again && status == WaitStatus::ready);
      sink.idle(false);
      if (got != IoStatus::ok) {
        if (status == WaitStatus::ready) tell_ended(client, sink);
        co_return Unit();
      }
    }
    left = co_await serve_one(client, rules, sink, pipelined);
  }
  if (left.after == After::linger) co_await linger(client, left.time_ms, left.linger_timeout_ms);
  co_return Unit();
}

}  // namespace fairlead::http::h1
