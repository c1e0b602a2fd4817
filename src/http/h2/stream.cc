// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/stream.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "http/h2/session.h"

namespace fairlead::http::h2 {

// What one stream has pulled from its body and not yet framed.
static constexpr size_t out_bytes_max = 32 * 1024;
// Pieces of a received body below this are copied together: a few bytes must not hold the whole segment that they came in.
static constexpr size_t shared_bytes_min = 4096;
// Of a header block, nghttp2 puts as much into one frame.
static constexpr size_t block_frame_bytes = 16 * 1024;
// Pieces below this are copied behind the head of their frame.
static constexpr size_t copied_bytes_max = 1024;

Stream::Stream(Session& session, Side side)
    : session_(session),
      side_(side),
      received_(*this),
      few_(in_, shared_bytes_min),
      arrived_(session.loop()),
      sendable_(session.loop()),
      chunk_bytes_(session.rules().chunk_bytes) {}

Stream::~Stream() {
  if (id_ == 0) return;
  bool answered = side_ == Side::client && sent_end_;  // RFC 9113 section 8.1: the rest of the request is not needed
  if (answered) reset(is_malformed_ ? ErrorCode::protocol_error : ErrorCode::no_error);
  else reset(side_ == Side::client ? ErrorCode::internal_error : ErrorCode::cancel);
}

// -- the body that comes in --

void Stream::fail_message(const char* what) {
  if (is_malformed_) return;
  is_malformed_ = true;
  fail_receive(Error{Fault::malformed, side_, 0, what});
  arrived_.set();
}

void Stream::take_data(std::string_view bytes, const SegmentRef& from) {
  if (is_malformed_) return;
  if (is_length_binding_ && received_bytes_ + unread_bytes_ + bytes.size() > *expected_bytes_) {
    fail_message("client intended to send body data larger than declared");
    return;
  }
  if (bytes.size() < shared_bytes_min) {
    few_.write(bytes);
  } else {
    few_.flush();
    in_.push_back(Slice(from, bytes.data(), bytes.size()));
  }
  unread_bytes_ += bytes.size();
  arrived_.set();
}

void Stream::take_end() {
  uint64_t bytes = received_bytes_ + unread_bytes_;
  if (is_length_binding_ && bytes < *expected_bytes_) fail_message(text_of_short_body(bytes));
  received_end_ = true;
  arrived_.set();
}

Poll Stream::fail_receive(Error error) {
  receive_error_ = error;
  receive_failed_ = true;
  return Poll::failed;
}

Poll Stream::poll_received(Chunk& chunk) {
  if (receive_failed_) return Poll::failed;
  if (unread_bytes_ == 0) {
    if (received_end_) return Poll::end;
    return closed_ ? fail_receive(closed_error()) : Poll::pending;
  }
  few_.flush();
  size_t bytes = in_[0].size;
  received_bytes_ += bytes;
  if (received_bytes_ > received_bytes_max_) return fail_receive(Error{Fault::too_large, side_, 0, "body is larger than allowed"});
  chunk.clear();
  chunk.bytes = in_[0];
  in_.drop_front(bytes);
  unread_bytes_ -= bytes;
  session_.consume(*this, bytes);
  return Poll::ready;
}

Task<Result<Unit>> Stream::Received::ready() {
  Stream& stream = stream_;
  if (!stream.waited_) {
    stream.waited_ = true;
    stream.session_.open_window(stream);
    stream.before_first_wait();
  }
  if (stream.unread_bytes_ > 0 || stream.received_end_ || stream.receive_failed_ || stream.closed_) co_return Unit();
  stream.arrived_.reset();
  WaitStatus status = co_await stream.arrived_.wait(stream.session_.loop().deadline(stream.receive_timeout_ms_));
  if (status == WaitStatus::ready) co_return Unit();
  const char* what = stream.side_ == Side::upstream ? "upstream timed out" : "client timed out";
  stream.fail_receive(Error{Fault::timeout, stream.side_, ETIMEDOUT, what});
  co_return stream.receive_error_;
}

std::optional<uint64_t> Stream::Received::size() const {
  if (stream_.is_malformed_) return std::nullopt;  // its end is an error
  if (stream_.received_end_ && stream_.received_trailers_) return std::nullopt;  // a message of known length could end before them
  if (stream_.received_end_) return stream_.unread_bytes_;
  if (!stream_.expected_bytes_) return std::nullopt;
  return *stream_.expected_bytes_ - std::min(*stream_.expected_bytes_, stream_.received_bytes_);
}

// -- what goes out --

Progress Stream::fail(Error error) {
  error_ = error;
  return Progress::failed;
}

Error Stream::closed_error() const {
  bool upstream = side_ == Side::upstream;
  if (is_unsendable_) return Error{Fault::too_large, Side::local, 0, "header section is too large for HTTP/2 frames"};
  if (lost_) {
    if (upstream) return Error{Fault::closed, side_, 0, "upstream prematurely closed connection"};
    return Error{Fault::reset, side_, 0, "client prematurely closed connection"};
  }
  if (is_violated_) return Error{Fault::malformed, side_, 0, upstream ? "upstream sent invalid frames" : "client sent invalid frames"};
  return Error{Fault::reset, side_, 0, upstream ? "upstream prematurely closed stream" : "client prematurely closed stream"};
}

Progress Stream::fail_closed() { return fail(closed_error()); }

// A piece of the file in `file_`, read here: files have no place in frames that other streams share.
bool Stream::read_file() {
  size_t wanted = static_cast<size_t>(std::min<uint64_t>(file_.file_bytes, out_bytes_max));
  SegmentRef segment = SegmentRef::make(wanted);
  ssize_t got;
  do {
    got = pread(file_.file.fd(), segment->bytes(), wanted, static_cast<off_t>(file_.file_offset));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) {
    error_ = got < 0 ? Error::from_errno(errno, "pread() failed")
                     : Error{Fault::closed, Side::local, 0, "file was truncated while it was sent"};
    return false;
  }
  const char* bytes = segment->bytes();
  out_.push_back(Slice(std::move(segment), bytes, static_cast<size_t>(got)));
  file_.file_offset += static_cast<uint64_t>(got);
  file_.file_bytes -= static_cast<uint64_t>(got);
  if (file_.file_bytes == 0) file_.clear();
  return true;
}

// done: there is enough, or the body ended.
Progress Stream::gather(Body& body) {
  Chunk chunk;
  while (!body_ended_ && out_.size() < out_bytes_max) {
    if (file_.is_file()) {
      if (!read_file()) return Progress::failed;
      continue;
    }
    switch (body.poll(chunk)) {
      case Poll::ready:
        pulled_ = true;
        if (chunk.is_file()) file_ = std::move(chunk);
        else out_.push_back(std::move(chunk.bytes));
        break;
      case Poll::pending: return Progress::need_body;
      case Poll::failed: return fail(body.error());
      case Poll::end:
        body_ended_ = true;
        sent_trailers_ = body.trailers();
        break;
    }
  }
  return Progress::done;
}

Progress Stream::pump(Body& body) {
  for (;;) {
    if (sent_end_) return Progress::done;
    if (closed_) return fail_closed();
    Progress gathered = gather(body);
    session_.resume(*this);
    session_.send();
    if (sent_end_) return Progress::done;
    if (closed_) return fail_closed();
    if (!out_.empty() || body_ended_) {
      sendable_.reset();
      return Progress::need_write;
    }
    if (gathered != Progress::done) return gathered;
  }
}

// A peer that opens its window little by little takes longer than one wait may last for what has to go before pump() gets further.
Task<WaitStatus> Stream::sendable(uint64_t timeout_ms) {
  uint64_t deadline = session_.loop().deadline(timeout_ms);
  for (;;) {
    WaitStatus status = co_await sendable_.wait(deadline);
    if (status != WaitStatus::timeout || framed_ms_ + timeout_ms <= deadline) co_return status;
    deadline = framed_ms_ + timeout_ms;
  }
}

Progress Stream::pump_head() {
  session_.send();
  if (sent_end_) return Progress::done;
  if (closed_) return fail_closed();
  sendable_.reset();
  return Progress::need_write;
}

// Bytes that nothing keeps alive (of the request's arena, mostly) are copied: the request may be over before the session has written.
void Stream::give(size_t bytes, ChainWriter& writer, Chain& to) {
  bool copied = bytes <= copied_bytes_max;
  if (!copied) writer.flush();
  while (bytes > 0) {
    size_t size = std::min(bytes, out_[0].size);
    if (copied) writer.write(out_[0].view().substr(0, size));
    else if (out_[0].owner) to.push_back(Slice(out_[0].owner, out_[0].data, size));
    else to.push_back(Slice::copy_of(out_[0].view().substr(0, size)));
    out_.drop_front(size);
    bytes -= size;
  }
  if (out_.size() <= out_bytes_max / 2) sendable_.set();
}

void Stream::sent_frame(size_t payload_bytes, bool is_data, bool ends_stream) {
  sent_wire_bytes_ += frame_head_bytes + payload_bytes;
  if (!is_data && payload_bytes > 0) sent_wire_bytes_ += (payload_bytes - 1) / block_frame_bytes * frame_head_bytes;  // CONTINUATION
  framed_ms_ = session_.loop().now_ms();
  if (is_data) sent_data_bytes_ += payload_bytes;
  if (!ends_stream) return;
  sent_end_ = true;
  sendable_.set();
}

// -- its end --

void Stream::closed(ErrorCode code, bool with_connection) {
  session_.forget(*this);
  closed_ = true;
  lost_ = with_connection;
  close_code_ = code;
  bool complete = side_ == Side::client ? sent_end_ : received_end_;
  bool cut = code != ErrorCode::no_error && !(is_malformed_ && complete);  // else it is our own last word
  broken_off_ = cut || !complete;
  arrived_.set();
  sendable_.set();
  if (broken_off_ && alert_) session_.loop().ready(*alert_);
  on_closed();
}

void Stream::reset(ErrorCode code) {
  if (id_ == 0) return;
  session_.reset(*this, code);
  closed_ = true;
  close_code_ = code;
  arrived_.set();
  sendable_.set();
}

}  // namespace fairlead::http::h2
