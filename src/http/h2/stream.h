// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Stream: one HTTP/2 stream of either side: the body that comes in, pulled (its window opens again as it is), the body that goes out, and
// the end of both. What a head means is its subclass's matter. Lives wherever its owner keeps it and leaves the Session when it dies: a
// stream that is still open then is reset. The Session outlives its streams.
//
// The take_ functions and closed() are called from inside nghttp2: they record and wake, they never resume, destroy or send.
#pragma once

#include "core/base/buffer.h"
#include "event/loop/sync.h"
#include "http/message/body.h"
#include "http/message/headers.h"
#include "http/request/exchange.h"

namespace fairlead::http::h2 {

class Session;

constexpr size_t frame_head_bytes = 9;  // RFC 9113 section 4.1

// RFC 9113 section 7.
enum class ErrorCode : uint32_t {
  no_error, protocol_error, internal_error, flow_control_error, settings_timeout, stream_closed, frame_size_error, refused_stream, cancel,
  compression_error, connect_error, enhance_your_calm, inadequate_security, http_1_1_required,
};

class Stream : public Link {
 public:
  // `side`: whose fault it is if the peer breaks off.
  Stream(Session& session, Side side);
  virtual ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  int32_t id() const { return id_; }
  Session& session() const { return session_; }

  // -- a header block of the peer: fields one by one (also of trailers and of interim responses), then its end --

  virtual void take_field(std::string_view name, std::string_view value) = 0;
  virtual void take_head(bool ends_stream) = 0;
  // Of a peer that answers: a field that no message may have, by its name or its value, so that the stream is reset
  // (RFC 9113 section 8.1.1). What clients send is judged by who takes it: fail_message().
  virtual void take_invalid_field(std::string_view /*name*/) {}
  // The peer broke the protocol on this stream, which is about to be reset by us; `what` in nghttp2's words.
  virtual void take_violation(std::string_view /*what*/) {}
  // Of header blocks so far, without and with the heads of their frames.
  size_t head_bytes() const { return head_bytes_; }
  size_t head_wire_bytes() const { return head_wire_bytes_; }

  // -- the body that comes in --

  // More bytes than `bytes_max` fail with Fault::too_large, waits for them end after `timeout_ms` (0: never).
  void limit_received(uint64_t bytes_max, uint64_t timeout_ms) {
    received_bytes_max_ = bytes_max;
    receive_timeout_ms_ = timeout_ms;
  }
  // Ended at once if there is none.
  Body& received() { return received_; }
  bool has_received_all() const { return received_end_; }
  // Bytes of DATA frames so far, without and with their frame heads.
  uint64_t received_data_bytes() const { return received_data_bytes_; }
  uint64_t received_wire_bytes() const { return received_wire_bytes_; }
  // Bytes that arrived and were not yet pulled.
  size_t unread_bytes() const { return unread_bytes_; }
  // What a message without a length ahead may still bring; nothing if unknown.
  void expect_received(std::optional<uint64_t> bytes) { expected_bytes_ = bytes; }
  // So much is to come, and a message that brings another number of bytes is malformed (RFC 9113 section 8.1.1).
  void require_received(uint64_t bytes) {
    expected_bytes_ = bytes;
    is_length_binding_ = true;
  }
  // The section behind the body, filled by the subclass; nullptr: none.
  void set_trailers(const Headers* trailers) { received_trailers_ = trailers; }

  // -- what goes out --

  // Of one DATA frame of this stream, if not as the session's rules say.
  void set_chunk_bytes(uint32_t bytes) { chunk_bytes_ = bytes; }
  // After the head was submitted with a body: pulls from `body` and frames what windows and connection take. Plain. done: all of it, the
  // end included, is on its way to the socket; need_write: wait for sendable(); need_body: the body has nothing now.
  Progress pump(Body& body);
  // After the head was submitted without a body: done or need_write.
  Progress pump_head();
  // Until a pump() may get further, or the stream is closed. timeout: nothing of it was framed for so long (0: never).
  Task<WaitStatus> sendable(uint64_t timeout_ms);
  Event& sendable_event() { return sendable_; }
  const Error& error() const { return error_; }
  bool has_sent_all() const { return sent_end_; }
  bool has_pulled() const { return pulled_; }
  // In all frames with their heads; of DATA frames without.
  uint64_t sent_wire_bytes() const { return sent_wire_bytes_; }
  uint64_t sent_data_bytes() const { return sent_data_bytes_; }

  // -- its end --

  // By the peer, by a reset of ours or with the connection; or both sides are through.
  bool is_closed() const { return closed_; }
  // With its connection.
  bool is_lost() const { return lost_; }
  // The peer (or the connection) ended it before its message, or ours to a client, was complete.
  bool is_broken_off() const { return broken_off_; }
  ErrorCode close_code() const { return close_code_; }
  // It was nghttp2 that reset it: the peer broke the protocol on it.
  bool is_violated() const { return is_violated_; }
  // It was ended by us: a head or trailers of ours are larger than frames may carry.
  bool is_unsendable() const { return is_unsendable_; }
  // fail_message() was called.
  bool is_malformed() const { return is_malformed_; }
  // Fired through the ready list when the stream is broken off. At most one; nullptr removes it.
  void alert(Resumable* resumable) { alert_ = resumable; }
  // Gives it up: RST_STREAM unless it is over. What was not yet sent is dropped.
  void reset(ErrorCode code);

 protected:
  // What a client sends is no message, as `what` says, which lives as long as the stream: the body fails with Fault::malformed, and once
  // the answer is out the stream is reset with PROTOCOL_ERROR.
  void fail_message(const char* what);
  // What it says of a message that has only `bytes` of what require_received() was told; lives as long as the stream.
  virtual const char* text_of_short_body(uint64_t /*bytes*/) { return "message is too short"; }
  // Called once, when the first byte of the body has to be waited for.
  virtual void before_first_wait() {}
  // Closed: both sides through, or broken off.
  virtual void on_closed() {}
  // Why it was closed before its time.
  Error closed_error() const;

 private:
  friend class Session;
  class Received final : public Body {
   public:
    explicit Received(Stream& stream) : stream_(stream) {}
    Poll poll(Chunk& chunk) override { return stream_.poll_received(chunk); }
    Task<Result<Unit>> ready() override;
    std::optional<uint64_t> size() const override;
    Error error() const override { return stream_.receive_error_; }
    const Headers* trailers() const override {
      return stream_.received_end_ && stream_.unread_bytes_ == 0 ? stream_.received_trailers_ : nullptr;
    }

   private:
    Stream& stream_;
  };

  Poll poll_received(Chunk& chunk);
  Poll fail_receive(Error error);
  Progress gather(Body& body);
  bool read_file();
  Progress fail(Error error);
  Progress fail_closed();

  // By the session.
  void take_data(std::string_view bytes, const SegmentRef& from);
  void take_end();
  void closed(ErrorCode code, bool with_connection = false);
  void sent_frame(size_t payload_bytes, bool is_data, bool ends_stream);
  // Puts the first `bytes` of what waits to go out behind what `to` holds; copies them by way of `writer` if they are few.
  void give(size_t bytes, ChainWriter& writer, Chain& to);

  Session& session_;
  Side side_;
  int32_t id_ = 0;  // 0: not yet, or no longer, known to nghttp2
  bool closed_ = false, broken_off_ = false;
  bool received_end_ = false;
  bool receive_failed_ = false;
  bool waited_ = false;
  bool lost_ = false;          // closed with its connection
  bool is_violated_ = false;
  bool is_malformed_ = false;
  bool is_unsendable_ = false;
  bool is_length_binding_ = false;
  bool body_ended_ = false;
  bool sent_end_ = false;
  bool pulled_ = false;
  ErrorCode close_code_ = ErrorCode::no_error;
  Resumable* alert_ = nullptr;
  Received received_;
  Chain in_, out_;
  ChainWriter few_;            // gathers small pieces of in_
  size_t unread_bytes_ = 0;    // in both
  Event arrived_, sendable_;
  std::optional<uint64_t> expected_bytes_;
  uint64_t received_bytes_ = 0, received_bytes_max_ = UINT64_MAX, receive_timeout_ms_ = 60'000;
  uint64_t framed_ms_ = 0;     // when a frame of it was last made
  uint64_t received_data_bytes_ = 0, received_wire_bytes_ = 0, sent_wire_bytes_ = 0, sent_data_bytes_ = 0;
  uint32_t chunk_bytes_;
  size_t head_bytes_ = 0, head_wire_bytes_ = 0;
  Chunk file_;  // a range of a file that is being sent
  const Headers* received_trailers_ = nullptr;
  const Headers* sent_trailers_ = nullptr;  // of the body that goes out, once it ended
  Error receive_error_, error_;
};

}  // namespace fairlead::http::h2
