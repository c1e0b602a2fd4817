// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_limit_rate/paced_body.h"

#include <algorithm>
#include <utility>

namespace fairlead::http_limit_rate {

using http::Chunk;
using http::Poll;

Poll PacedBody::poll(Chunk& chunk) {
  if (started_ms_ == 0) started_ms_ = loop_.now_ms();
  paused_ = false;
  if (held_.size() == 0) {
    Chunk pulled;
    Poll polled = source_.poll(pulled);
    if (polled != Poll::ready) return polled;
    held_ = std::move(pulled);
  }
  uint64_t allowed = allowance(loop_.now_ms());
  if (allowed <= given_) {
    paused_ = true;
    return Poll::pending;
  }
  cut(chunk, std::min(allowed - given_, held_.size()));
  return Poll::ready;
}

uint64_t PacedBody::allowance(uint64_t now_ms) const {
  uint64_t elapsed_ms = now_ms - started_ms_;
  return rate_.free_bytes + rate_.bytes_per_s + rate_.bytes_per_s / 1000 * elapsed_ms + rate_.bytes_per_s % 1000 * elapsed_ms / 1000;
}

Task<Result<Unit>> PacedBody::pause() {
  constexpr uint64_t pieces_per_s = 10;  // less than a tenth of a second's worth is not worth a write
  uint64_t wanted = std::min(held_.size(), std::max<uint64_t>(rate_.bytes_per_s / pieces_per_s, 1));
  co_await Sleep(loop_, std::max<uint64_t>(wanted * 1000 / rate_.bytes_per_s, 1));
  co_return Unit();
}

void PacedBody::cut(Chunk& chunk, uint64_t bytes) {
  given_ += bytes;
  if (bytes == held_.size()) {
    chunk = std::move(held_);
    held_.clear();
    return;
  }
  chunk.clear();
  if (!held_.is_file()) {
    chunk.bytes = held_.bytes.cut_front(static_cast<size_t>(bytes));
    return;
  }
  chunk.file = held_.file;
  chunk.file_offset = held_.file_offset;
  chunk.file_bytes = bytes;
  held_.file_offset += bytes;
  held_.file_bytes -= bytes;
}

}  // namespace fairlead::http_limit_rate
