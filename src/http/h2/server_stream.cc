// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/server_stream.h"

#include <cerrno>

#include "core/base/format.h"
#include "http/h2/conf.h"
#include "http/h2/server.h"
#include "http/message/status.h"
#include "http/request/request.h"

namespace fairlead::http::h2 {

// RFC 9113 section 8.2.2: of a connection, so in no message.
static constexpr KnownHeaderSet of_connection(KnownHeader::connection, KnownHeader::keep_alive, KnownHeader::proxy_connection,
                                              KnownHeader::transfer_encoding, KnownHeader::upgrade, KnownHeader::content_length);

ServerStream::ServerStream(ServerConnection& connection, Arena& own_arena)
    : Stream(connection.session(), Side::client),
      owner_(connection),
      arena_(own_arena),
      opening_(*this),
      head_(own_arena),
      reader_(head_, connection.rules().head, connection.host_rules()),
      trailers_(own_arena, 0),
      started_ms_(connection.session().loop().now_ms()) {}

Connection& ServerStream::connection() { return session().connection(); }

void ServerStream::take_field(std::string_view name, std::string_view value) {
  if (!complete_) {
    reader_.take(name, value);
    return;
  }
  if (http::h2::is_malformed(name, value)) {
    fail_message("client sent invalid trailer field");
    return;
  }
  trailer_bytes_ += name.size() + value.size();
  KnownHeader known = find_known_header(name);
  if (trailer_bytes_ > owner_.rules().head.head_bytes_max || not_in_trailers.holds(known)) return;
  trailers_.add(known, arena_.copy(name), arena_.copy(value));
}

// What there is of a head that is not complete is for the log.
void ServerStream::take_violation(std::string_view what) {
  violation_ = arena_.copy(what);
  if (!complete_) (void)reader_.finish(false);
}

void ServerStream::on_closed() {
  if (!complete_ && violation_.empty()) (void)reader_.finish(false);
}

void ServerStream::time_out() {
  if (complete_) return;
  is_late_ = broken_ = true;  // an answer would wait for the rest of the head
  (void)reader_.finish(false);
}

HeadFault ServerStream::head_fault() const {
  if (is_late_) {
    HeadFault fault(408, "client timed out");
    fault.sys = ETIMEDOUT;
    return fault;
  }
  if (is_violated() || !violation_.empty()) return {400, "client sent a malformed request", violation_};
  if (!complete_) return {400, "client prematurely closed connection"};
  return reader_.fault();
}

void ServerStream::take_head(bool ends_stream) {
  if (complete_) {
    if (ends_stream) set_trailers(&trailers_);
    else fail_message("client sent trailers that do not end the stream");
    return;
  }
  complete_ = true;
  head_.bytes = head_bytes();
  if (!reader_.finish(!ends_stream)) {
    if (reader_.is_malformed()) fail_message(reader_.fault().what);
    return;
  }
  if (head_.framing.content_length != no_length) require_received(static_cast<uint64_t>(head_.framing.content_length));
}

const char* ServerStream::text_of_short_body(uint64_t bytes) {
  return arena_.copy_z(format("client prematurely closed stream: only {} out of {} bytes of request body received", bytes,
                              head_.framing.content_length));
}

void ServerStream::before_first_wait() {
  if (head_.expect_continue) send_interim(100, nullptr);
}

static std::string_view status_text(Arena& arena, unsigned status) { return arena.copy(format("{}", status)); }

void ServerStream::send_interim(uint16_t status, const Headers* headers) {
  if (head_submitted_) return;
  FieldList fields;
  fields.add(":status", status_text(arena_, status));
  if (headers) {
    for (const Headers::Field& field : *headers)
      if (!of_connection.holds(field.known)) fields.add(field.name, field.value);
  }
  session().submit_interim(*this, fields);
  session().send();
}

// RFC 8441 section 5: a WebSocket is opened by 200, so any other success (one that a filter made) must not say that, neither here nor in
// the log.
static uint16_t settle_connect(ResponseHead& answer) {
  if (answer.status == 101) return 200;
  if (answer.status / 100 == 2) answer.status = 501;
  return answer.status;
}

void ServerStream::submit_head(Outgoing& response) {
  head_submitted_ = true;
  ResponseHead& answer = response.head;
  bool opens = answer.status == 101, bodiless = !has_body(answer.status) && !opens;
  uint16_t status = head_.is_extended_connect ? settle_connect(answer) : answer.status;
  FieldList fields;
  fields.add(":status", status_text(arena_, status));
  for (const Headers::Field& field : answer.headers)
    if (!of_connection.holds(field.known) && field.known != KnownHeader::sec_websocket_accept) fields.add(field.name, field.value);
  int64_t length = answer.framing.content_length;
  if (length != no_length && (!bodiless || answer.status == 304)) fields.add("content-length", arena_.copy(format("{}", length)));
  sends_body_ = !response.head_only && !bodiless && length != 0;
  if (request_) set_chunk_bytes(static_cast<uint32_t>(conf<H2Conf>(*request_).chunk_size.bytes));
  session().submit_head(*this, fields, sends_body_);
}

Progress ServerStream::pump(Outgoing& response) {
  if (!head_submitted_) submit_head(response);
  Progress progress = sends_body_ ? Stream::pump(*response.body) : pump_head();
  // Not before: some clients drop what arrives behind a GOAWAY.
  if (progress == Progress::done && response.is_last) owner_.begin_shutdown();
  return progress;
}

Task<WaitStatus> ServerStream::writable(uint64_t timeout_ms) { return sendable(timeout_ms); }

// What a tunnel that failed behind us is called: RFC 9113 section 8.5, and RFC 8441 section 5 for a WebSocket.
static ErrorCode code_of_abandoned(const RequestHead& head) {
  if (head.is_extended_connect) return ErrorCode::cancel;
  return head.method == Method::connect ? ErrorCode::connect_error : ErrorCode::internal_error;
}

void ServerStream::abandon() {
  if (!has_sent_all()) broken_ = true;
  reset(head_submitted_ ? code_of_abandoned(head_) : ErrorCode::internal_error);
}

}  // namespace fairlead::http::h2
