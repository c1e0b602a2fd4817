// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ReplayBody: a request body that is sent on as it arrives and kept meanwhile, up to a limit, so that a small one can be sent again to
// another peer. Between tries rewind() is called; a body that outgrew the limit cannot be. Lies in the request's arena; what it reads from
// outlives it. Holds the bytes, not copies.
#pragma once

#include "http/message/body.h"

namespace fairlead::http {

class ReplayBody final : public Body {
 public:
  ReplayBody(Body& source, uint64_t bytes_max) : source_(source), bytes_max_(bytes_max) {}

  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override;
  Error error() const override { return source_.error(); }
  const Headers* trailers() const override { return source_.trailers(); }

  // Everything that was pulled is still here.
  bool can_rewind() const { return !lost_; }
  // From the beginning again. Only if can_rewind(), and while nobody waits in ready().
  void rewind() {
    again_.clear();
    again_.append_shared(kept_);
  }

 private:
  Body& source_;
  uint64_t bytes_max_;
  Chain kept_;   // what was pulled from the source
  Chain again_;  // what of it is to be given once more
  bool lost_ = false;
};

}  // namespace fairlead::http
