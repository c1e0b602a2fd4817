// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/body.h"

#include <algorithm>
#include <cerrno>

namespace fairlead::http::h1 {

// A read with less room than this is not worth its system call.
static constexpr size_t read_room_min = 2048;
// Reads of one discard(), before others have their turn.
static constexpr int discard_reads_max = 16;

Coding request_coding(const Framing& framing) {
  if (framing.chunked) return Coding::chunked;
  return framing.content_length > 0 ? Coding::length : Coding::none;
}

Poll ReceivedBody::read_more() {
  if (first_wait_) std::exchange(first_wait_, nullptr)(first_wait_whom_);
  if (!from_.may_read()) return Poll::pending;
  size_t wanted = rules_.buffer_bytes;
  if (coding_ == Coding::length) wanted = static_cast<size_t>(std::min<uint64_t>(wanted, left_));
  IoResult result = from_.fill(wanted, std::min(wanted, read_room_min));
  switch (result.status) {
    case IoStatus::ok: return Poll::ready;
    case IoStatus::again: return Poll::pending;
    case IoStatus::end:
      if (coding_ == Coding::until_close) {
        ended_ = true;
        return Poll::end;
      }
      return fail(Error{Fault::closed, from_.side(), 0, from_.side() == Side::upstream ? "upstream prematurely closed connection"
                                                                                       : "client prematurely closed connection"});
    case IoStatus::failed: break;
  }
  return fail(from_.error_of(result, "recv() failed"));
}

bool ReceivedBody::give(Chunk& chunk, size_t bytes) {
  received_ += bytes;
  if (received_ > rules_.bytes_max) {
    fail(Error{Fault::too_large, from_.side(), 0, "body is larger than allowed"});
    return false;
  }
  chunk.clear();
  chunk.bytes = from_.take_slice(bytes);
  return true;
}

Poll ReceivedBody::poll(Chunk& chunk) {
  for (;;) {
    if (ended_) return Poll::end;
    if (failed_) return Poll::failed;
    std::string_view unread = from_.unread();
    if (unread.empty()) {
      Poll more = read_more();
      if (more != Poll::ready) return more;
      continue;
    }
    if (coding_ == Coding::until_close) return give(chunk, unread.size()) ? Poll::ready : Poll::failed;
    if (coding_ == Coding::length) {
      size_t bytes = static_cast<size_t>(std::min<uint64_t>(left_, unread.size()));
      left_ -= bytes;
      if (left_ == 0) ended_ = true;
      return give(chunk, bytes) ? Poll::ready : Poll::failed;
    }
    Poll decoded = decode_chunked(chunk);
    if (decoded != Poll::pending) return decoded;
  }
}

// pending: this input held no body bytes, go on.
Poll ReceivedBody::decode_chunked(Chunk& chunk) {
  BodyStep step = chunked_->step(from_.unread());
  from_.consume(step.consumed - step.body_bytes);
  if (step.state == BodyStep::State::failed) {
    const char* what = from_.side() == Side::upstream ? "upstream sent invalid chunked response" : "client sent invalid chunked body";
    return fail(Error{chunked_->fault(), from_.side(), 0, what});
  }
  // A size line that goes beyond the limit is enough: what it announces is not waited for.
  if (received_ + step.body_bytes + chunked_->chunk_left_bytes() > rules_.bytes_max)
    return fail(Error{Fault::too_large, from_.side(), 0, "body is larger than allowed"});
  bool given = step.body_bytes == 0 || give(chunk, step.body_bytes);
  if (!given) return Poll::failed;
  if (step.state == BodyStep::State::done) ended_ = true;
  return step.body_bytes > 0 ? Poll::ready : Poll::pending;
}

Task<Result<Unit>> ReceivedBody::ready() {
  WaitStatus status = co_await from_.readable(from_.loop().deadline(rules_.timeout_ms));
  if (status == WaitStatus::ready) co_return Unit();
  fail(Error{Fault::timeout, from_.side(), ETIMEDOUT, from_.side() == Side::upstream ? "upstream timed out" : "client timed out"});
  co_return error_;
}

Poll ReceivedBody::discard() {
  for (int reads = 0; reads <= discard_reads_max;) {
    if (from_.unread().empty()) ++reads;  // what is in the buffer already is little work, however many chunks it is
    Chunk chunk;                          // let go before the next read: the segment can be filled again
    Poll polled = poll(chunk);
    if (polled != Poll::ready) return polled;
  }
  return Poll::ready;
}

}  // namespace fairlead::http::h1
