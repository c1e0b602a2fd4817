// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PostponedBody: a body that keeps what comes until it is `least_bytes` or all. Lies in the request's arena, as does what it reads from.
#pragma once

#include "http/message/body.h"

namespace fairlead::http_postpone_output {

class PostponedBody final : public http::Body {
 public:
  PostponedBody(http::Body& source, size_t least_bytes) : source_(source), least_bytes_(least_bytes) {}

  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override { return source_.ready(); }
  std::optional<uint64_t> size() const override {
    auto left = source_.size();
    if (left) *left += held_.size() + next_.size();
    return left;
  }
  bool is_at_hand() const override { return source_.is_at_hand(); }
  Error error() const override { return source_.error(); }
  const http::Headers* trailers() const override { return source_.trailers(); }

 private:
  void give_held(http::Chunk& chunk);

  http::Body& source_;
  size_t least_bytes_;
  Chain held_;                                     // less than twice least_bytes_
  http::Chunk next_;                               // what goes as it is: a file, or enough by itself
  http::Poll source_state_ = http::Poll::ready;    // end and failed come behind what is held
};

}  // namespace fairlead::http_postpone_output
