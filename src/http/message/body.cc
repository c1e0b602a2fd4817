// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/body.h"

#include <algorithm>

namespace fairlead::http {

static Task<Result<Unit>> at_once() { co_return Unit(); }

Task<Result<Unit>> EmptyBody::ready() { return at_once(); }
Task<Result<Unit>> BytesBody::ready() { return at_once(); }
Task<Result<Unit>> FileBody::ready() { return at_once(); }

Task<Poll> next(Body& body, Chunk& chunk) {
  for (;;) {
    Poll polled = body.poll(chunk);
    if (polled != Poll::pending) co_return polled;
    auto waited = co_await body.ready();
    if (!waited) co_return Poll::failed;
  }
}

Poll BytesBody::poll(Chunk& chunk) {
  if (bytes_.empty()) return Poll::end;
  chunk.clear();
  chunk.bytes = bytes_[0];
  bytes_.drop_front(chunk.bytes.size);
  return Poll::ready;
}

Poll FileBody::poll(Chunk& chunk) {
  if (left_ == 0) return Poll::end;
  chunk.clear();
  chunk.file = file_;
  chunk.file_offset = offset_;
  chunk.file_bytes = left_;
  offset_ += left_;
  left_ = 0;
  return Poll::ready;
}

Body* BytesBody::part(Arena& arena, uint64_t offset, uint64_t bytes) {
  if (offset > bytes_.size() || bytes > bytes_.size() - offset) return nullptr;
  Chain cut;
  Chain shared = bytes_.share();
  shared.drop_front(offset);
  for (size_t i = 0; bytes > 0; ++i) {
    auto taken = static_cast<size_t>(std::min<uint64_t>(bytes, shared[i].size));
    cut.push_back(shared[i].cut_front(taken));
    bytes -= taken;
  }
  return arena.make<BytesBody>(std::move(cut));
}

Body* FileBody::part(Arena& arena, uint64_t offset, uint64_t bytes) {
  if (offset > left_ || bytes > left_ - offset) return nullptr;
  return arena.make<FileBody>(file_, offset_ + offset, bytes);
}

}  // namespace fairlead::http
