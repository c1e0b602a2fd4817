// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/session.h"

#include <algorithm>
#include <utility>

#include "http/h2/session_calls.h"

namespace fairlead::http::h2 {

// Frames that wait for the socket; beyond this, bodies stay where they are.
static constexpr size_t backlog_bytes_max = 64 * 1024;
// One read: what a DATA frame of the default size and its head take.
static constexpr size_t read_bytes = 16 * 1024 + 64;
static constexpr size_t read_room_min = 2048;
// The connection's receive window is no limit: RFC 9113 section 6.9.1.
static constexpr int32_t window_bytes_max = INT32_MAX;

Session::Session(Role role, Connection& connection, const SessionRules& rules, SessionEvents& events)
    : connection_(connection),
      rules_(rules),
      events_(events),
      role_(role),
      session_(Calls::make_session(role, *this)),
      conduct_(rules.conduct, rules.head_list_bytes_max),
      flush_(*this),
      flushed_(connection.loop()) {
  flushed_.set();
  announce();
}

Session::~Session() { lose(); }

void Session::announce() {
  nghttp2_settings_entry entries[5];
  size_t count = 0;
  auto add = [&](nghttp2_settings_id id, uint32_t value) { entries[count++] = {id, value}; };
  if (role_ == Role::server) add(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, INT32_MAX);  // first: announce_streams_max()
  add(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, rules_.stream_window_bytes);
  add(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, rules_.head_list_bytes_max);
  if (role_ == Role::client) {
    add(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
  } else {
    add(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1);
    if (rules_.connect_protocol) add(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
  }
  nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, entries, count);
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0, window_bytes_max);
  if (role_ == Role::server) announce_streams_max();
}

// nghttp2 would end the connection over one stream too many, where RFC 9113 section 5.1.2 has that stream refused alone. So it is told of
// no limit, which on_begin_headers() holds, and what the client reads is written here, into the first entry of the frame.
void Session::announce_streams_max() {
  constexpr size_t value_at = frame_head_bytes + sizeof(uint16_t);
  const uint8_t* bytes;
  ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
  FL_ASSERT(size >= static_cast<ssize_t>(value_at + sizeof(uint32_t)));
  std::string frame(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  for (size_t i = 0; i < sizeof(uint32_t); ++i) frame[value_at + i] = static_cast<char>(rules_.streams_max >> (24 - 8 * i));
  ChainWriter(out_).write(frame);
}

// -- what comes in --

// Where a stream finds no place, those before it that can be answered at once are, before it is refused for them.
ssize_t Session::feed(std::string_view bytes) {
  for (;;) {
    ssize_t taken = nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    if (taken < 0 || !std::exchange(is_paused_, false)) return taken;
    bytes.remove_prefix(static_cast<size_t>(taken));
    events_.filled();
    flush();
    refuse_surplus();
  }
}

void Session::refuse_surplus() {
  Stream* stream = Calls::stream_of(session_.get(), std::exchange(surplus_id_, 0));
  if (!stream || stream_count_ <= rules_.streams_max) return;
  conduct_.refused();
  stream->reset(ErrorCode::refused_stream);
  events_.refused(*stream);
}

void Session::take_in(std::string_view bytes) {
  ssize_t taken = feed(bytes);
  conduct_.bytes(bytes.size(), 0);
  judge();
  if (misframed_ && !violation_) {
    violation_ = misframed_;
    go_away(ErrorCode::protocol_error);
  }
  if (violation_ || taken >= 0) return;
  violation_ = taken == NGHTTP2_ERR_FLOODED ? "http2 flood detected" : nghttp2_strerror(static_cast<int>(taken));
  go_away(taken == NGHTTP2_ERR_FLOODED ? ErrorCode::enhance_your_calm : ErrorCode::protocol_error);
}

void Session::judge() {
  if (violation_ || !conduct_.violation()) return;
  violation_ = conduct_.violation();
  go_away(ErrorCode::enhance_your_calm);
  wake_runner();
}

Session::ReadEnd Session::read(size_t bytes_max) {
  ReadEnd end = ReadEnd::again;
  for (size_t taken = 0;;) {
    if (std::string_view unread = connection_.unread(); !unread.empty()) {
      take_in(unread);
      taken += unread.size();
      connection_.consume(unread.size());
      if (violation_) break;
    }
    if (taken >= bytes_max) {
      end = ReadEnd::more;
      break;
    }
    if (!connection_.may_read()) break;
    IoResult result = connection_.fill(read_bytes, read_room_min);
    if (result.status == IoStatus::ok) continue;
    if (result.status == IoStatus::end) end = ReadEnd::ended;
    if (result.status == IoStatus::failed) end = ReadEnd::broken;
    break;
  }
  connection_.release_if_empty();
  if (connection_.is_broken()) return ReadEnd::broken;
  if (end == ReadEnd::ended || end == ReadEnd::broken) return end;
  send();
  if (!is_over()) return end;
  if (!violation_ && stream_count_ > 0) violation_ = "protocol error";  // nghttp2 has ended it, streams or not
  return ReadEnd::over;
}

bool Session::is_over() const {
  if (violation_) return true;
  return !nghttp2_session_want_read(session_.get()) && !nghttp2_session_want_write(session_.get());
}

void Session::lose() {
  lost_ = true;
  while (Stream* stream = streams_.front()) stream->closed(ErrorCode::cancel, true);
}

// -- streams --

bool Session::is_passed_over(int32_t id) {
  if (id <= last_id_) return id >= passed_over_from_ && id < passed_over_to_;
  if (id > last_id_ + 2) {
    passed_over_from_ = last_id_ + 1;
    passed_over_to_ = id;
  }
  last_id_ = id;
  return false;
}

void Session::attach(Stream& stream, int32_t id) {
  stream.id_ = id;
  streams_.push_back(stream);
  ++stream_count_;
  nghttp2_session_set_stream_user_data(session_.get(), id, &stream);
}

void Session::forget(Stream& stream) {
  stream.id_ = 0;
  stream.unlink();
  --stream_count_;
  if (!lost_) events_.stream_closed();
}

bool Session::open(Stream& stream, const FieldList& fields, bool has_body) {
  if (lost_ || violation_) return false;
  nghttp2_data_provider provider = Calls::provider_of(stream);
  int32_t id = nghttp2_submit_request(session_.get(), nullptr, fields.begin(), fields.size(), has_body ? &provider : nullptr, &stream);
  if (id <= 0) return false;
  attach(stream, id);
  return true;
}

void Session::submit_head(Stream& stream, const FieldList& fields, bool has_body) {
  if (stream.id_ == 0) return;
  // Urgency 3, incremental: streams share the connection in turns, whatever the peer would prefer (RFC 9218 section 10).
  nghttp2_extpri turns{3, 1};
  nghttp2_session_change_extpri_stream_priority(session_.get(), stream.id_, &turns, 1);
  nghttp2_data_provider provider = Calls::provider_of(stream);
  nghttp2_submit_response(session_.get(), stream.id_, fields.begin(), fields.size(), has_body ? &provider : nullptr);
}

void Session::submit_interim(Stream& stream, const FieldList& fields) {
  if (stream.id_ == 0) return;
  nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, stream.id_, nullptr, fields.begin(), fields.size(), nullptr);
}

size_t Session::room() const {
  if (lost_ || violation_ || gone_away_ || !nghttp2_session_check_request_allowed(session_.get())) return 0;
  uint32_t most = peer_setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return most > stream_count_ ? most - stream_count_ : 0;
}

void Session::reset(Stream& stream, ErrorCode code) {
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id_, static_cast<uint32_t>(code));
  nghttp2_session_set_stream_user_data(session_.get(), stream.id_, nullptr);
  forget(stream);
  if (!lost_) send_soon();
}

void Session::consume(Stream& stream, size_t bytes) {
  if (stream.id_ == 0) return;
  nghttp2_session_consume_stream(session_.get(), stream.id_, bytes);
  send_soon();
}

void Session::resume(Stream& stream) {
  if (stream.id_ != 0) nghttp2_session_resume_data(session_.get(), stream.id_);
}

// A window that was made small for streams that nobody looks at is too small for one whose body is wanted.
void Session::open_window(Stream& stream) {
  constexpr int32_t working_window_bytes = 65'536;
  if (stream.id_ == 0 || stream.received_end_ || rules_.stream_window_bytes >= working_window_bytes) return;
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, stream.id_, working_window_bytes);
  send_soon();
}

// The peer has taken our settings: that shifts the windows of all streams (RFC 9113 section 6.9.2), those that were opened before as well.
void Session::reopen_windows() {
  for (Stream* stream = streams_.front(); stream; stream = streams_.next(*stream))
    if (stream->waited_) open_window(*stream);
}

// -- what goes out --

void Session::make_frames() {
  ChainWriter writer(out_, 2048);
  writer_ = &writer;
  while (out_.size() < backlog_bytes_max) {
    const uint8_t* bytes;
    ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
    if (size < 0 && !violation_) violation_ = nghttp2_strerror(static_cast<int>(size));
    if (size <= 0) break;
    writer.write({reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)});
    judge();
  }
  writer_ = nullptr;
  writer.flush();
  if (!out_.empty()) flushed_.reset();
}

void Session::send() {
  if (lost_ || connection_.is_broken()) return;
  make_frames();
  if (!out_.empty()) send_soon();
}

// At the end of a turn.
void Session::flush() {
  if (writing_.is_started() && !writing_.is_done()) return;
  if (lost_ || connection_.is_broken()) return;
  make_frames();
  while (!out_.empty()) {
    connection_.try_write(out_);
    if (connection_.is_broken() || !out_.empty()) {
      writing_.cancel();
      writing_.start(write_rest());
      return;
    }
    make_frames();
  }
  flushed_.set();
  if (is_over()) wake_runner();
}

Task<Unit> Session::write_rest() {
  while (!out_.empty() && !connection_.is_broken()) {
    WaitStatus status = co_await connection_.writable(loop().deadline(rules_.send_timeout_ms));
    if (status == WaitStatus::timeout) {
      connection_.mark_broken();
      violation_ = "sending timed out";
      break;
    }
    connection_.try_write(out_);
    if (!connection_.is_broken()) make_frames();
  }
  out_.clear();
  flushed_.set();
  if (connection_.is_broken() || is_over()) wake_runner();
  co_return Unit();
}

// -- the connection's own frames --

void Session::ping() {
  nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
  send_soon();
}

void Session::announce_shutdown() {
  nghttp2_submit_shutdown_notice(session_.get());
  send_soon();
}

void Session::go_away(ErrorCode code) {
  gone_away_ = true;
  if (code != ErrorCode::no_error) {
    nghttp2_session_terminate_session(session_.get(), static_cast<uint32_t>(code));
  } else {
    int32_t last = nghttp2_session_get_last_proc_stream_id(session_.get());
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, last, static_cast<uint32_t>(code), nullptr, 0);
  }
  send_soon();
}

}  // namespace fairlead::http::h2
