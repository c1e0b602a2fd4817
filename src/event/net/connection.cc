// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace fairlead {

IoResult Connection::fill(size_t capacity, size_t room_min) {
  size_t unread_bytes = end_ - begin_;
  if (!segment_) {
    segment_ = SegmentRef::try_make(std::max(capacity, room_min));
    if (!segment_) return {IoStatus::failed, 0, ENOMEM};
    begin_ = end_ = 0;
  } else if (unread_bytes == 0 && segment_->references == 1) {
    begin_ = end_ = 0;
  }
  if (segment_->capacity - end_ < room_min) {
    if (segment_->references == 1 && segment_->capacity >= unread_bytes + room_min && begin_ > 0) {
      std::memmove(segment_->bytes(), segment_->bytes() + begin_, unread_bytes);
    } else {
      SegmentRef larger = SegmentRef::try_make(std::max(capacity, unread_bytes + room_min));
      if (!larger) return {IoStatus::failed, 0, ENOMEM};
      std::memcpy(larger->bytes(), segment_->bytes() + begin_, unread_bytes);
      segment_ = std::move(larger);
    }
    begin_ = 0;
    end_ = static_cast<uint32_t>(unread_bytes);
  }
  IoResult result = transport_->read(segment_->bytes() + end_, segment_->capacity - end_);
  if (result.status == IoStatus::ok) {
    end_ += static_cast<uint32_t>(result.bytes);
    received_ += result.bytes;
  }
  return result;
}

template <int vectors_max>
static IoResult write_once(Transport& transport, const Chain& out) {
  iovec vectors[vectors_max];
  int count = out.fill(vectors, vectors_max);
  return transport.write(vectors, count);
}

// Out of line: room for many vectors would spread what is called over lines of the stack that nothing else touches.
[[gnu::noinline]] static IoResult write_many(Transport& transport, const Chain& out) { return write_once<64>(transport, out); }

IoResult Connection::try_write(Chain& out) {
  size_t total = 0;
  while (!out.empty()) {
    IoResult result = out.count() == 1 ? write_once<1>(*transport_, out) : write_many(*transport_, out);
    if (result.status == IoStatus::failed) broken_ = true;
    if (result.status != IoStatus::ok) return result;
    sent_ += result.bytes;
    total += result.bytes;
    out.drop_front(result.bytes);
    if (!out.empty() && !watch().is_ready(transport_->write_wait())) return {IoStatus::again};
  }
  return {IoStatus::ok, total};
}

IoResult Connection::try_send_file(int file, uint64_t offset, size_t bytes) {
  IoResult result = transport_->send_file(file, offset, bytes);
  if (result.status == IoStatus::ok) sent_ += result.bytes;
  if (result.status == IoStatus::failed) broken_ = true;
  return result;
}

Error Connection::error_of(const IoResult& result, const char* what) const {
  if (result.sys == ENOMEM) return Error::from_errno(ENOMEM, what, Side::local);  // whoever is at the other end
  Error error = Error::from_errno(result.sys, what, side_);
  const char* reason = transport_->failure_text();
  if (!reason) return error;
  error.what = reason;
  if (result.sys == EPROTO) error.sys = 0;  // the reason is a better word for it
  return error;
}

namespace {
// A write that is destroyed half done leaves bytes of an unknown count on the wire.
struct BrokenUnlessDone {
  Connection& connection;
  bool done = false;
  ~BrokenUnlessDone() { if (!done) connection.mark_broken(); }
};
}  // namespace

Task<Result<Unit>> Connection::write(Chain& out, uint64_t timeout_ms) {
  BrokenUnlessDone guard{*this};
  while (!out.empty()) {
    IoResult result = try_write(out);
    if (result.status == IoStatus::failed) co_return error_of(result, "send() failed");
    if (out.empty()) break;
    WaitStatus status = co_await writable(loop().deadline(timeout_ms));
    if (status == WaitStatus::timeout) co_return Error{Fault::timeout, side_, 0, "timed out while sending"};
  }
  guard.done = true;
  co_return Unit();
}

void Connection::reset_on_close() {
  linger linger_now{1, 0};
  setsockopt(watch().fd(), SOL_SOCKET, SO_LINGER, &linger_now, sizeof linger_now);
}

}  // namespace fairlead
