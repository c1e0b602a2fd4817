// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ChunksBody: pieces that are there already, of memory and files, in order.
#pragma once

#include <vector>

#include "http/message/body.h"

namespace fairlead::http {

class ChunksBody final : public Body {
 public:
  explicit ChunksBody(std::vector<Chunk> chunks) : chunks_(std::move(chunks)) {}
  Poll poll(Chunk& chunk) override {
    if (next_ == chunks_.size()) return Poll::end;
    chunk = std::move(chunks_[next_++]);
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override { co_return Unit(); }
  std::optional<uint64_t> size() const override {
    uint64_t bytes = 0;
    for (size_t i = next_; i < chunks_.size(); ++i) bytes += chunks_[i].size();
    return bytes;
  }

 private:
  std::vector<Chunk> chunks_;
  size_t next_ = 0;
};

}  // namespace fairlead::http
