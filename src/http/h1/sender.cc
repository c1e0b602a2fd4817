// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/sender.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "event/net/socket.h"
#include "http/message/headers.h"

namespace fairlead::http::h1 {

// What the kernel sends at most in one call.
static constexpr uint64_t call_bytes_max = 0x7ffff000;

Progress Sender::pump(Body& body) {
  for (;;) {
    Progress gathered = Progress::done;
    if (!body_ended_ && !file_.is_file()) gathered = gather(body);
    // What was pulled before the failure still goes out; a body of our own that gave nothing leaves the head to its owner's judgement.
    bool had_nothing = gathered == Progress::failed && !pulled_ && error_.side == Side::local;
    if (had_nothing) return gathered;
    if (cork_ && file_.is_file()) set_corked(true);
    if (ends_connection_ && body_ended_ && !file_.is_file()) to_.watch().announce_end();
    Progress written = write_out();
    if (written != Progress::done) return written;
    if (gathered == Progress::failed) return gathered;
    if (file_.is_file()) {
      written = write_file();
      if (written != Progress::done) return written;
      continue;
    }
    if (body_ended_) {
      set_corked(false);
      return Progress::done;
    }
    if (gathered == Progress::need_body) return gathered;
  }
}

// done: something was gathered or the body ended; need_body: the body has nothing more now.
Progress Sender::gather(Body& body) {
  Chunk chunk;
  while (out_.size() < gather_bytes_max_) {
    switch (body.poll(chunk)) {
      case Poll::ready:
        pulled_ = true;
        frame(chunk);
        if (file_.is_file() || body_ended_) return Progress::done;
        break;
      case Poll::pending: close_chunk(); return Progress::need_body;
      case Poll::failed: close_chunk(); return fail(body.error());
      case Poll::end:
        if (framing_ == SendFraming::length && left_ > 0) {
          pulled_ = true;  // to its end: the head was right when it was made, and says how much is missing
          return fail(Error{Fault::closed, Side::local, 0, "the body is shorter than its Content-Length"});
        }
        finish_body(body);
        return Progress::done;
    }
  }
  close_chunk();
  return Progress::done;
}

void Sender::frame(Chunk& chunk) {
  uint64_t bytes = chunk.size();
  if (framing_ == SendFraming::length) {
    if (bytes > left_) {  // more than announced: the rest has no place on the wire
      if (chunk.is_file()) chunk.file_bytes = left_;
      else chunk.bytes = chunk.bytes.cut_front(left_);
      bytes = left_;
    }
    left_ -= bytes;
    if (left_ == 0) body_ended_ = true;
  }
  body_bytes_ += bytes;
  if (framing_ == SendFraming::chunked) begin_chunk(bytes);
  if (chunk.is_file()) file_ = std::move(chunk);
  else if (!put_behind(chunk.bytes.view())) out_.push_back(std::move(chunk.bytes));
}

// Copies into the room behind out_. False: there is none, and from now on never will be.
bool Sender::put_behind(std::string_view bytes) {
  if (room_bytes_ == 0 || bytes.size() > room_bytes_) {
    room_bytes_ = 0;
    return false;
  }
  const Slice& last = out_[out_.count() - 1];
  append_bytes(const_cast<char*>(last.data + last.size), bytes);
  out_.extend_last(bytes.size());
  room_bytes_ -= static_cast<uint32_t>(bytes.size());
  return true;
}

void Sender::begin_chunk(uint64_t bytes) {
  char text[24];
  char* at = append_bytes(text, std::string_view("\r\n", std::exchange(chunk_open_, true) ? 2 : 0));
  at = append_bytes(std::to_chars(at, at + 16, bytes, 16).ptr, "\r\n");
  std::string_view line(text, static_cast<size_t>(at - text));
  if (!put_behind(line)) out_.push_back(Slice::copy_of(line));
}

// The line end behind a chunk goes with what follows it, unless nothing does for now: a receiver may wait for it.
void Sender::close_chunk() {
  if (std::exchange(chunk_open_, false) && !put_behind("\r\n")) out_.push_back(Slice("\r\n"));
}

void Sender::finish_body(const Body& body) {
  body_ended_ = true;
  if (framing_ != SendFraming::chunked) return;
  const Headers* trailers = body.trailers();
  if (!trailers || trailers->empty()) {
    std::string_view last = "\r\n0\r\n\r\n";
    if (!chunk_open_) last.remove_prefix(2);
    if (!put_behind(last)) out_.push_back(Slice(last));
    return;
  }
  close_chunk();
  room_bytes_ = 0;
  ChainWriter writer(out_, 256);
  writer.write("0\r\n");
  for (const auto& field : *trailers) {
    writer.write(field.name);
    writer.write(": ");
    writer.write(field.value);
    writer.write("\r\n");
  }
  writer.write("\r\n");
}

Progress Sender::write_out() {
  room_bytes_ = 0;
  if (out_.empty()) return Progress::done;
  IoResult result = to_.try_write(out_);
  if (result.status == IoStatus::failed) return fail(to_.error_of(result, "writev() failed"));
  return out_.empty() ? Progress::done : Progress::need_write;
}

void Sender::set_corked(bool on) {
  if (corked_ == on) return;
  corked_ = on;
  set_cork(to_.watch().fd(), on);
}

Progress Sender::write_file() {
  uint64_t allowed = file_bytes_max_;
  while (file_.file_bytes > 0) {
    if (allowed == 0) return Progress::need_write;  // the socket takes more, but it is somebody else's turn
    IoResult result = to_.try_send_file(file_.file.fd(), file_.file_offset, std::min({file_.file_bytes, allowed, call_bytes_max}));
    if (result.status == IoStatus::again) return Progress::need_write;
    if (result.status == IoStatus::end) {
      to_.mark_broken();
      return fail(Error{Fault::closed, Side::local, 0, "file was truncated while it was sent"});
    }
    if (result.status == IoStatus::failed) return fail(to_.error_of(result, "sendfile() failed"));
    file_.file_offset += result.bytes;
    file_.file_bytes -= result.bytes;
    allowed -= result.bytes;
    if (file_.file_bytes > 0 && !to_.watch().is_ready(Direction::write)) return Progress::need_write;
  }
  file_.clear();
  return Progress::done;
}

}  // namespace fairlead::http::h1
