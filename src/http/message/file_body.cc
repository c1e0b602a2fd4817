// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/file_body.h"

#include <algorithm>
#include <cerrno>

#include "core/base/arena.h"

namespace fairlead::http {

static Task<Result<Unit>> at_once() { co_return Unit(); }

Task<Result<Unit>> ReadFileBody::ready() { return at_once(); }

Poll ReadFileBody::poll(Chunk& chunk) {
  if (left_ == 0) return Poll::end;
  if (error_.fault != Fault::none) return Poll::failed;
  auto wanted = static_cast<size_t>(std::min<uint64_t>(left_, piece_bytes));
  SegmentRef segment = SegmentRef::make(wanted);
  ssize_t got;
  do got = ::pread(file_.fd(), segment->bytes(), wanted, static_cast<off_t>(offset_));
  while (got < 0 && errno == EINTR);
  if (got <= 0) {
    if (got < 0) error_ = Error::from_errno(errno, "pread() failed");
    else error_ = Error{Fault::closed, Side::local, 0, "file was truncated while it was sent"};
    return Poll::failed;
  }
  offset_ += static_cast<uint64_t>(got);
  left_ -= static_cast<uint64_t>(got);
  chunk.clear();
  const char* bytes = segment->bytes();
  chunk.bytes = Slice(std::move(segment), bytes, static_cast<size_t>(got));
  return Poll::ready;
}

Body* ReadFileBody::part(Arena& arena, uint64_t offset, uint64_t bytes) {
  if (offset > left_ || bytes > left_ - offset) return nullptr;
  return arena.make<ReadFileBody>(file_, offset_ + offset, bytes);
}

}  // namespace fairlead::http
