// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// MemorySource: what a filter pulls from if it has to see the bytes: a body whose ranges of files are read into memory.
#pragma once

#include <optional>
#include <utility>

#include "http/message/body.h"
#include "http/message/file_body.h"

namespace fairlead::http {

class MemorySource {
 public:
  explicit MemorySource(Body& source) : source_(source) {}

  // As Body::poll(); `chunk` holds bytes, never a file.
  Poll poll(Chunk& chunk) {
    for (;;) {
      Poll polled = file_ ? file_->poll(chunk) : source_.poll(chunk);
      if (file_ && polled == Poll::end) {
        file_.reset();
        continue;
      }
      if (file_ && polled == Poll::failed) error_ = file_->error();
      if (polled != Poll::ready || !chunk.is_file()) return polled;
      file_.emplace(std::move(chunk.file), chunk.file_offset, chunk.file_bytes);
    }
  }
  // Reading a file without threads is never pending, so it is the source that is waited for.
  Task<Result<Unit>> ready() { return source_.ready(); }
  // As Body::size().
  std::optional<uint64_t> size() const {
    std::optional<uint64_t> left = source_.size();
    return left && file_ ? *left + *file_->size() : left;
  }
  Error error() const { return error_.fault != Fault::none ? error_ : source_.error(); }
  const Headers* trailers() const { return source_.trailers(); }

 private:
  Body& source_;
  std::optional<ReadFileBody> file_;
  Error error_;
};

}  // namespace fairlead::http
