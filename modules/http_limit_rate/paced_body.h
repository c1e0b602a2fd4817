// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PacedBody: a body that gives no more than a rate allows. Lies in the request's arena, as does what it reads from.
#pragma once

#include "event/loop/loop.h"
#include "http/message/body.h"

namespace fairlead::http_limit_rate {

// The allowance grows with time from the first pull on: one second's worth at once, as in nginx, and `free_bytes` beside it.
class PacedBody final : public http::Body {
 public:
  struct Rate {
    uint64_t bytes_per_s;  // not 0
    uint64_t free_bytes;
  };
  PacedBody(http::Body& source, Loop& loop, Rate rate) : source_(source), loop_(loop), rate_(rate) {}

  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override { return paused_ ? pause() : source_.ready(); }
  std::optional<uint64_t> size() const override {
    auto rest = source_.size();
    if (rest) *rest += held_.size();
    return rest;
  }
  Error error() const override { return source_.error(); }
  const http::Headers* trailers() const override { return source_.trailers(); }

 private:
  uint64_t allowance(uint64_t now_ms) const;
  Task<Result<Unit>> pause();
  void cut(http::Chunk& chunk, uint64_t bytes);

  http::Body& source_;
  Loop& loop_;
  Rate rate_;
  http::Chunk held_;  // pulled, and not yet given
  uint64_t given_ = 0;
  uint64_t started_ms_ = 0;
  bool paused_ = false;
};

}  // namespace fairlead::http_limit_rate
