// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/replay.h"

namespace fairlead::http {

Poll ReplayBody::poll(Chunk& chunk) {
  if (spent_) return Poll::failed;
  if (!again_.empty()) {
    chunk.clear();
    chunk.bytes = again_[0];
    again_.drop_front(chunk.bytes.size);
    return Poll::ready;
  }
  Poll polled = source_.poll(chunk);
  if (polled != Poll::ready || lost_) return polled;
  if (chunk.is_file() || kept_.size() + chunk.bytes.size > bytes_max_) {
    lost_ = true;
    kept_.clear();
  } else {
    kept_.push_back(chunk.bytes);
  }
  return polled;
}

Task<Result<Unit>> ReplayBody::ready() {
  if (!again_.empty()) co_return Unit();
  co_return co_await source_.ready();
}

std::optional<uint64_t> ReplayBody::size() const {
  auto rest = source_.size();
  if (!rest) return std::nullopt;
  return *rest + again_.size();
}

void ReplayBody::rewind() {
  again_.clear();
  if (lost_) spent_ = true;
  else again_.append_shared(kept_);
}

void ReplayBody::lose(const Error& why) {
  lost_ = true;
  loss_ = why;
  kept_.clear();
}

}  // namespace fairlead::http
