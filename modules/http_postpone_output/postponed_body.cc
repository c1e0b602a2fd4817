// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_postpone_output/postponed_body.h"

#include <algorithm>
#include <utility>

namespace fairlead::http_postpone_output {

using http::Chunk;
using http::Poll;

Poll PostponedBody::poll(Chunk& chunk) {
  while (source_state_ == Poll::ready && next_.size() == 0 && held_.size() < least_bytes_) {
    Chunk pulled;
    Poll polled = source_.poll(pulled);
    if (polled == Poll::pending) return polled;
    if (polled != Poll::ready) source_state_ = polled;
    else if (!pulled.is_file() && pulled.size() < least_bytes_) held_.push_back(std::move(pulled.bytes));
    else next_ = std::move(pulled);
  }
  if (!held_.empty()) {
    give_held(chunk);
    return Poll::ready;
  }
  if (next_.size() == 0) return source_state_;
  chunk = std::move(next_);
  next_.clear();
  return Poll::ready;
}

// In one piece: each that leaves gets a frame of its own.
void PostponedBody::give_held(Chunk& chunk) {
  chunk.clear();
  if (held_.count() == 1) {
    chunk.bytes = std::move(held_[0]);
  } else {
    SegmentRef segment = SegmentRef::make(held_.size());
    char *begin = segment->bytes(), *at = begin;
    for (size_t i = 0; i < held_.count(); ++i) at = std::copy_n(held_[i].data, held_[i].size, at);
    chunk.bytes = Slice(std::move(segment), begin, held_.size());
  }
  held_.clear();
}

}  // namespace fairlead::http_postpone_output
