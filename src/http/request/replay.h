// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ReplayBody: a request body that is sent on as it arrives and kept meanwhile, up to a limit, so that a small one can be sent again: to
// another peer, or to the upstream of another location. Before each new reader rewind() is called; a body that outgrew the limit is lost
// then: it fails, so that nobody takes the rest of it for the whole. Lies in the request's arena; what it reads from outlives it. Holds the
// bytes, not copies.
#pragma once

#include "http/message/body.h"

namespace fairlead::http {

class ReplayBody final : public Body {
 public:
  ReplayBody(Body& source, uint64_t bytes_max) : source_(source), bytes_max_(bytes_max) {}

  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override;
  bool is_at_hand() const override { return !lost_ && source_.is_at_hand(); }
  Error error() const override { return spent_ ? loss_ : source_.error(); }
  const Headers* trailers() const override { return source_.trailers(); }

  // Everything that was pulled is still here.
  bool can_rewind() const { return !lost_; }
  // From the beginning again, or from now on a failure, unless can_rewind(). Not while somebody waits in ready().
  void rewind();
  // What is pulled from the source from now on is kept up to so many bytes in all.
  void keep(uint64_t bytes_max) { bytes_max_ = bytes_max; }
  // Its source was read by others, and they failed: after rewind() that is what its readers are told.
  void lose(const Error& why);

 private:
  Body& source_;
  uint64_t bytes_max_;
  Chain kept_;   // what was pulled from the source
  Chain again_;  // what of it is to be given once more
  bool lost_ = false;
  bool spent_ = false;  // rewound though it was lost
  Error loss_{Fault::unavailable, Side::upstream, 0, "client request body was sent on and not kept, it cannot be sent again"};
};

}  // namespace fairlead::http
