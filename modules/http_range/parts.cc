// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_range/parts.h"

#include <algorithm>

namespace fairlead::http_range {

using http::Chunk;
using http::Poll;

Poll JoinedBody::poll(Chunk& chunk) {
  for (; at_ < parts_.size(); ++at_) {
    Poll polled = parts_[at_]->poll(chunk);
    if (polled == Poll::ready) left_ -= chunk.size();
    if (polled != Poll::end) return polled;
  }
  return Poll::end;
}

static void drop_front(Chunk& chunk, uint64_t bytes) {
  if (chunk.is_file()) {
    chunk.file_offset += bytes;
    chunk.file_bytes -= bytes;
  } else {
    chunk.bytes.drop_front(static_cast<size_t>(bytes));
  }
}

static void keep_front(Chunk& chunk, uint64_t bytes) {
  if (chunk.is_file()) chunk.file_bytes = bytes;
  else chunk.bytes = chunk.bytes.cut_front(static_cast<size_t>(bytes));
}

Poll CutBody::poll(Chunk& chunk) {
  while (left_ > 0) {
    Poll polled = source_.poll(chunk);
    if (polled != Poll::ready) return polled;
    uint64_t skipped = std::min(skip_, chunk.size());
    skip_ -= skipped;
    if (skipped == chunk.size()) {
      chunk.clear();
      continue;
    }
    drop_front(chunk, skipped);
    if (chunk.size() > left_) keep_front(chunk, left_);
    left_ -= chunk.size();
    return Poll::ready;
  }
  return Poll::end;
}

}  // namespace fairlead::http_range
