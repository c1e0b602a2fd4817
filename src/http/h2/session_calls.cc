// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// nghttp2's callbacks. Once the peer's conduct has been judged (conduct_.violation()) they ignore what is left of the input: an error
// from a callback would leave the session in a state in which it can say nothing more.
#include "http/h2/session_calls.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/format.h"
#include "core/base/pool.h"

namespace fairlead::http::h2 {

namespace {

Session& session_of(void* self) { return *static_cast<Session*>(self); }
std::string_view text_of(const uint8_t* bytes, size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }

// -- nghttp2's memory comes from our pool, which must be told the size of what it takes back: it stands in front of each block --

constexpr size_t size_prefix = 16;

void* pool_malloc(size_t bytes, void*) {
  char* block = static_cast<char*>(pool_allocate(bytes + size_prefix));
  std::memcpy(block, &bytes, sizeof bytes);
  return block + size_prefix;
}
size_t size_of(void* memory) {
  size_t bytes;
  std::memcpy(&bytes, static_cast<char*>(memory) - size_prefix, sizeof bytes);
  return bytes;
}
void pool_free(void* memory, void*) {
  if (memory) pool_release(static_cast<char*>(memory) - size_prefix, size_of(memory) + size_prefix);
}
void* pool_calloc(size_t count, size_t bytes, void* self) {
  void* memory = pool_malloc(count * bytes, self);
  std::memset(memory, 0, count * bytes);
  return memory;
}
void* pool_realloc(void* memory, size_t bytes, void* self) {
  void* larger = pool_malloc(bytes, self);
  if (memory) std::memcpy(larger, memory, std::min(bytes, size_of(memory)));
  pool_free(memory, self);
  return larger;
}

constexpr nghttp2_mem pool_memory = {nullptr, &pool_malloc, &pool_free, &pool_calloc, &pool_realloc};

}  // namespace

nghttp2_session_callbacks* Session::Calls::make_callbacks() {
  nghttp2_session_callbacks* made;
  FL_ASSERT(nghttp2_session_callbacks_new(&made) == 0);
  nghttp2_session_callbacks_set_on_begin_frame_callback(made, &on_begin_frame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(made, &on_begin_headers);
  nghttp2_session_callbacks_set_on_frame_recv_callback(made, &on_frame_recv);
  nghttp2_session_callbacks_set_on_stream_close_callback(made, &on_stream_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(made, &on_frame_send);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(made, &on_frame_not_send);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, &on_invalid_frame);
  nghttp2_session_callbacks_set_error_callback2(made, &on_error);
  // Frames of other types are seen by on_begin_frame, and ignored from there on (RFC 9113 section 5.5).
  nghttp2_session_callbacks_set_unpack_extension_callback(
      made, [](nghttp2_session*, void**, const nghttp2_frame_hd*, void*) { return static_cast<int>(NGHTTP2_ERR_CANCEL); });
  nghttp2_session_callbacks_set_on_header_callback(
      made, [](nghttp2_session* raw, const nghttp2_frame* frame, const uint8_t* name, size_t name_bytes, const uint8_t* value,
               size_t value_bytes, uint8_t, void* self) {
        Session& session = session_of(self);
        take_field(session, stream_of(raw, frame->hd.stream_id), text_of(name, name_bytes), text_of(value, value_bytes));
        if (session.surplus_id_ == 0) return 0;
        session.is_paused_ = true;
        return static_cast<int>(NGHTTP2_ERR_PAUSE);
      });
  nghttp2_session_callbacks_set_on_invalid_header_callback(
      made, [](nghttp2_session* raw, const nghttp2_frame* frame, const uint8_t* name, size_t name_bytes, const uint8_t*,
               size_t, uint8_t, void*) {
        Stream* stream = stream_of(raw, frame->hd.stream_id);
        if (!stream) return 0;
        stream->take_invalid_field(text_of(name, name_bytes));
        return static_cast<int>(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE);
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      made, [](nghttp2_session* raw, uint8_t, int32_t id, const uint8_t* bytes, size_t size, void* self) {
        take_data(session_of(self), stream_of(raw, id), text_of(bytes, size));
        return 0;
      });
  nghttp2_session_callbacks_set_data_source_read_length_callback(
      made, [](nghttp2_session* raw, uint8_t, int32_t id, int32_t session_window, int32_t stream_window, uint32_t frame_bytes_max,
               void* self) {
        const Stream* stream = stream_of(raw, id);
        uint32_t chunk = std::min(stream ? stream->chunk_bytes_ : session_of(self).rules_.chunk_bytes, frame_bytes_max);
        return static_cast<ssize_t>(std::min({int64_t{session_window}, int64_t{stream_window}, int64_t{chunk}}));
      });
  nghttp2_session_callbacks_set_send_data_callback(
      made, [](nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t size, nghttp2_data_source* source, void* self) {
        send_data(session_of(self), *static_cast<Stream*>(source->ptr), text_of(head, frame_head_bytes), size);
        return 0;
      });
  return made;
}

nghttp2_data_provider Session::Calls::provider_of(Stream& stream) {
  nghttp2_data_provider provider;
  provider.source.ptr = &stream;
  provider.read_callback = [](nghttp2_session* raw, int32_t, uint8_t*, size_t room, uint32_t* flags, nghttp2_data_source* source, void*) {
    return next_data(raw, *static_cast<Stream*>(source->ptr), room, *flags);
  };
  return provider;
}

// Of one head or trailer section of ours. What makes them has limits of its own far below (proxy_buffer_size, large_client_header_buffers).
static constexpr size_t sent_block_bytes_max = 16 * 1024 * 1024;

nghttp2_session* Session::Calls::make_session(Role role, Session& session) {
  static nghttp2_session_callbacks* const callbacks = make_callbacks();
  auto make_option = [](bool checks_messages) {
    nghttp2_option* made;
    FL_ASSERT(nghttp2_option_new(&made) == 0);
    nghttp2_option_set_no_http_messaging(made, !checks_messages);
    nghttp2_option_set_no_auto_window_update(made, 1);
    nghttp2_option_set_no_closed_streams(made, 1);
    nghttp2_option_set_stream_reset_rate_limit(made, UINT32_MAX, UINT32_MAX);  // Conduct counts resets
    nghttp2_option_set_max_continuations(made, SIZE_MAX);                      // and these
    nghttp2_option_set_max_send_header_block_length(made, sent_block_bytes_max);
    constexpr unsigned first_extension_type = NGHTTP2_CONTINUATION + 1, last_extension_type = 255;
    for (unsigned type = first_extension_type; type <= last_extension_type; ++type)
      nghttp2_option_set_user_recv_extension_type(made, static_cast<uint8_t>(type));
    return made;
  };
  static nghttp2_option* const server_option = make_option(false);  // ServerStream does
  static nghttp2_option* const client_option = make_option(true);
  nghttp2_session* made = nullptr;
  nghttp2_mem memory = pool_memory;
  if (role == Role::server) FL_ASSERT(nghttp2_session_server_new3(&made, callbacks, &session, server_option, &memory) == 0);
  else FL_ASSERT(nghttp2_session_client_new3(&made, callbacks, &session, client_option, &memory) == 0);
  return made;
}

Stream* Session::Calls::stream_of(nghttp2_session* session, int32_t id) {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

// -- what comes in --

// A header block of no stream that is open, nor one that it opens: nghttp2 ignores it, as one that crossed our reset must be.
static bool is_late(nghttp2_session* raw, Role role, int32_t id) {
  if (nghttp2_session_get_stream_user_data(raw, id)) return false;
  return role == Role::client || id <= nghttp2_session_get_last_proc_stream_id(raw);
}

int Session::Calls::on_begin_frame(nghttp2_session* raw, const nghttp2_frame_hd* head, void* self) {
  Session& session = session_of(self);
  session.complaint_.clear();  // of an earlier frame: no reason for what is wrong with this one
  Conduct& conduct = session.conduct_;
  if (conduct.violation()) return 0;
  uint64_t now = session.loop().now_ms();
  switch (head->type) {
    case NGHTTP2_HEADERS:
      if (session.role_ == Role::server && session.is_passed_over(head->stream_id) && !session.misframed_)
        session.misframed_ = "HEADERS frame of a stream that was passed over";  // RFC 9113 section 5.1.1
      if (is_late(raw, session.role_, head->stream_id)) conduct.control_frame(now);
      conduct.head_begins();
      session.block_bytes_ = head->length;
      session.block_frames_ = 1;
      break;
    case NGHTTP2_CONTINUATION:
      conduct.continuation();
      session.block_bytes_ += head->length;
      ++session.block_frames_;
      break;
    case NGHTTP2_PRIORITY:
      if (head->stream_id == 0 && !session.misframed_) session.misframed_ = "PRIORITY frame of no stream";  // RFC 9113 section 6.3
      conduct.control_frame(now);
      break;
    case NGHTTP2_DATA:
      if (head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0) conduct.control_frame(now);
      break;
    default: conduct.control_frame(now); break;
  }
  return 0;
}

int Session::Calls::on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  Session& session = session_of(self);
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  // One more than there are places for: at its first field, nowhere earlier, nghttp2 can be paused, and feed() sees if one became free.
  bool may_open = session.stream_count_ <= session.rules_.streams_max;
  Stream* stream = session.conduct_.violation() || !may_open ? nullptr : session.events_.open();
  if (stream) {
    session.attach(*stream, frame->hd.stream_id);
    session.surplus_id_ = session.stream_count_ > session.rules_.streams_max ? frame->hd.stream_id : 0;
    return 0;
  }
  session.conduct_.refused();
  nghttp2_submit_rst_stream(session.session_.get(), NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
  return 0;
}

void Session::Calls::take_field(Session& session, Stream* stream, std::string_view name, std::string_view value) {
  session.conduct_.bytes(0, name.size() + value.size());
  if (stream) stream->take_field(name, value);
}

int Session::Calls::on_frame_recv(nghttp2_session* raw, const nghttp2_frame* frame, void* self) {
  Session& session = session_of(self);
  bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA: {
      Stream* stream = stream_of(raw, frame->hd.stream_id);
      if (!stream) break;
      if (frame->hd.type == NGHTTP2_HEADERS) {
        session.surplus_id_ = 0;  // of a head without any field
        stream->head_bytes_ += session.block_bytes_;
        stream->head_wire_bytes_ += session.block_bytes_ + session.block_frames_ * frame_head_bytes;
        stream->take_head(ends);
      } else {
        stream->received_wire_bytes_ += frame_head_bytes;
      }
      if (ends && stream->id_ != 0) stream->take_end();
      break;
    }
    case NGHTTP2_SETTINGS:
      if (frame->hd.flags & NGHTTP2_FLAG_ACK) session.reopen_windows();
      else session.events_.settings_changed();
      break;
    case NGHTTP2_PING:
      if (frame->hd.flags & NGHTTP2_FLAG_ACK) session.events_.pong();
      break;
    case NGHTTP2_GOAWAY:
      session.events_.goes_away(frame->goaway.last_stream_id, static_cast<ErrorCode>(frame->goaway.error_code));
      break;
    default: break;
  }
  return 0;
}

void Session::Calls::take_data(Session& session, Stream* stream, std::string_view bytes) {
  session.conduct_.bytes(0, bytes.size());
  nghttp2_session_consume_connection(session.session_.get(), bytes.size());
  if (!stream) return;
  stream->received_data_bytes_ += bytes.size();
  stream->received_wire_bytes_ += bytes.size();
  stream->take_data(bytes, session.connection_.segment());
}

int Session::Calls::on_stream_close(nghttp2_session* raw, int32_t id, uint32_t code, void* self) {
  Session& session = session_of(self);
  Stream* stream = stream_of(raw, id);
  if (!stream) return 0;  // we gave it up
  if (code == NGHTTP2_NO_ERROR) session.conduct_.answered();
  else session.conduct_.reset(session.loop().now_ms());
  stream->closed(static_cast<ErrorCode>(code));
  return 0;
}

// nghttp2 resets the stream itself; often it has told why by on_error(). What a stream is told is said in its own lines alone.
int Session::Calls::on_invalid_frame(nghttp2_session* raw, const nghttp2_frame* frame, int code, void* self) {
  std::string& complaint = session_of(self).complaint_;
  if (complaint.empty()) complaint = format("{} in a frame of stream {}", nghttp2_strerror(code), frame->hd.stream_id);
  if (Stream* stream = stream_of(raw, frame->hd.stream_id)) stream->take_violation(std::exchange(complaint, {}));
  return 0;
}

int Session::Calls::on_error(nghttp2_session*, int, const char* text, size_t size, void* self) {
  session_of(self).complaint_.assign(text, size);
  return 0;
}

// -- what goes out --

// nghttp2's own, too: it ends the connection for some frames that on_invalid_frame() is not told of, such as too large ones.
void Session::Calls::note_goaway(Session& session, const nghttp2_goaway& frame) {
  if (session.violation_ || frame.error_code == NGHTTP2_NO_ERROR) return;
  if (frame.error_code == NGHTTP2_COMPRESSION_ERROR)
    session.violation_ = "header field of more than 65536 bytes, or broken compression";  // nghttp2 does not tell which: field_bytes_max
  else if (session.complaint_.empty())
    session.complaint_ = text_of(frame.opaque_data, frame.opaque_data_len);
}

int Session::Calls::on_frame_send(nghttp2_session* raw, const nghttp2_frame* frame, void* self) {
  Session& session = session_of(self);
  if (frame->hd.type == NGHTTP2_RST_STREAM) {
    Stream* stream = stream_of(raw, frame->hd.stream_id);  // those that we give up are unknown by now
    if (stream && !stream->is_malformed_) stream->is_violated_ = true;
    return 0;
  }
  if (frame->hd.type == NGHTTP2_GOAWAY) {
    note_goaway(session, frame->goaway);
    return 0;
  }
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  session.conduct_.message_frame_sent();
  Stream* stream = stream_of(raw, frame->hd.stream_id);
  bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (!stream) return 0;
  stream->sent_frame(frame->hd.length, frame->hd.type == NGHTTP2_DATA, ends);
  if (ends && stream->is_malformed_) nghttp2_submit_rst_stream(raw, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
  return 0;
}

// Those of a stream that is gone, or that may not be opened any more, are no failure.
int Session::Calls::on_frame_not_send(nghttp2_session* raw, const nghttp2_frame* frame, int code, void* self) {
  if (frame->hd.type != NGHTTP2_HEADERS || code != NGHTTP2_ERR_FRAME_SIZE_ERROR) return 0;
  List<Stream>& streams = session_of(self).streams_;  // nghttp2 may not know the stream of a request yet
  Stream* stream = streams.front();
  while (stream && stream->id_ != frame->hd.stream_id) stream = streams.next(*stream);
  if (!stream) return 0;
  stream->is_unsendable_ = true;
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
    stream->reset(ErrorCode::internal_error);
  } else {  // nothing of it is known to the peer, and nghttp2 drops it
    nghttp2_session_set_stream_user_data(raw, frame->hd.stream_id, nullptr);
    stream->closed(ErrorCode::internal_error);
  }
  return 0;
}

ssize_t Session::Calls::next_data(nghttp2_session* raw, Stream& stream, size_t room, uint32_t& flags) {
  size_t size = std::min(room, stream.out_.size());
  bool ends = stream.body_ended_ && size == stream.out_.size();
  if (size == 0 && !ends) return NGHTTP2_ERR_DEFERRED;
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (!ends) return static_cast<ssize_t>(size);
  flags |= NGHTTP2_DATA_FLAG_EOF;
  const Headers* trailers = stream.sent_trailers_;
  if (trailers && !trailers->empty()) {
    FieldList fields;
    for (const Headers::Field& field : *trailers) fields.add(field.name, field.value);
    flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(raw, stream.id_, fields.begin(), fields.size());
  }
  return static_cast<ssize_t>(size);
}

void Session::Calls::send_data(Session& session, Stream& stream, std::string_view frame_head, size_t size) {
  session.conduct_.bytes(size, size);
  session.writer_->write(frame_head);
  stream.give(size, *session.writer_, session.out_);
}

}  // namespace fairlead::http::h2
