// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Bodies that give parts of others: one behind another, or a cut out of one that can only be read through. They lie in the request's
// arena, as do the bodies they read.
#pragma once

#include <vector>

#include "http/message/body.h"

namespace fairlead::http_range {

// Several bodies one behind another, none of which waits (they are memory and files).
class JoinedBody final : public http::Body {
 public:
  // All of `part`, which is so many bytes.
  void add(http::Body* part, uint64_t bytes) {
    left_ += bytes;
    parts_.push_back(part);
  }
  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override { return parts_[at_]->ready(); }
  std::optional<uint64_t> size() const override { return left_; }
  Error error() const override { return at_ < parts_.size() ? parts_[at_]->error() : Error{}; }

 private:
  std::vector<http::Body*> parts_;
  size_t at_ = 0;
  uint64_t left_ = 0;
};

// `bytes` of `source` behind the first `skip`. The source is not read beyond them.
class CutBody final : public http::Body {
 public:
  CutBody(http::Body& source, uint64_t skip, uint64_t bytes) : source_(source), skip_(skip), left_(bytes) {}
  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override { return source_.ready(); }
  std::optional<uint64_t> size() const override { return left_; }
  Error error() const override { return source_.error(); }

 private:
  http::Body& source_;
  uint64_t skip_;
  uint64_t left_;
};

}  // namespace fairlead::http_range
