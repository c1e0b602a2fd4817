// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/capture.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "event/loop/child.h"

namespace fairlead::http {

static constexpr size_t file_piece_bytes = 32 * 1024;
// What is not kept is still read for a while: an upstream connection whose reply was read whole can be used again. The time is that in
// which the packets behind a head arrive if they were sent with it: a peer that makes its body slowly holds nobody up.
static constexpr uint64_t drained_bytes_max = 64 * 1024;
static constexpr uint64_t drained_ms_max = 5;

bool Capture::take_bytes(Slice bytes) {
  seen_bytes_ += bytes.size;
  size_t room = bytes_max_ - std::min<uint64_t>(bytes_max_, kept_.size());
  if (bytes.size > room) is_cut_ = true;
  if (room > 0) kept_.push_back(bytes.cut_front(std::min(room, bytes.size)));
  if (!is_cut_) return true;
  if (fails_if_longer_) {
    error_ = Error{Fault::too_large, Side::local, 0, "the response of a subrequest is too large"};
    return false;
  }
  return seen_bytes_ < bytes_max_ + drained_bytes_max;
}

bool Capture::take_file(const Chunk& chunk) {
  for (uint64_t done = 0; done < chunk.file_bytes;) {
    auto wanted = static_cast<size_t>(std::min<uint64_t>(chunk.file_bytes - done, file_piece_bytes));
    SegmentRef segment = SegmentRef::make(wanted);
    ssize_t got;
    do got = pread(chunk.file.fd(), segment->bytes(), wanted, static_cast<off_t>(chunk.file_offset + done));
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
      error_ = Error{Fault::closed, Side::local, got < 0 ? errno : 0, "a file could not be read to its end"};
      return false;
    }
    done += static_cast<uint64_t>(got);
    const char* bytes = segment->bytes();
    if (!take_bytes(Slice(std::move(segment), bytes, static_cast<size_t>(got)))) return false;
  }
  return true;
}

bool Capture::take(Chunk& chunk) { return chunk.is_file() ? take_file(chunk) : take_bytes(std::move(chunk.bytes)); }

// Nothing is written that could be full: asked for to wait a moment for what is not kept.
Task<WaitStatus> Capture::writable(uint64_t) {
  Task<Result<Unit>> arriving = rest_->ready();
  Deadline<Result<Unit>> bounded(client_.loop(), std::move(arriving), drained_until_ms_);
  (void)co_await bounded;
  co_return WaitStatus::ready;
}

Progress Capture::wait_for_more(Body& body) {
  if (!is_full()) return Progress::need_body;
  uint64_t now_ms = client_.loop().now_ms();
  if (!rest_) drained_until_ms_ = now_ms + drained_ms_max;
  rest_ = &body;
  if (now_ms < drained_until_ms_) return Progress::need_write;
  is_cut_ = true;
  return Progress::done;
}

Progress Capture::pump(Outgoing& response) {
  if (keeps_body_ && !keeps_body_(response.head.status)) bytes_max_ = 0;
  head_sent_ = true;
  if (response.head_only) return Progress::done;
  for (;;) {
    Chunk chunk;
    switch (response.body->poll(chunk)) {
      case Poll::end: return Progress::done;
      case Poll::pending: return wait_for_more(*response.body);
      case Poll::failed: error_ = response.body->error(); return Progress::failed;
      case Poll::ready:
        if (take(chunk)) continue;
        return error_.fault == Fault::none ? Progress::done : Progress::failed;
    }
  }
}

}  // namespace fairlead::http
