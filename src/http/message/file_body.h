// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ReadFileBody: a range of a file, read into memory in pieces. For responses without sendfile(), and for filters that have to see the bytes
// of a file. Plain reads: a page that is not in the cache holds the worker for one access of the disk.
#pragma once

#include "http/message/body.h"

namespace fairlead::http {

class ReadFileBody final : public Body {
 public:
  ReadFileBody(FileRef file, uint64_t offset, uint64_t bytes) : file_(std::move(file)), offset_(offset), left_(bytes) {}
  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override { return left_; }
  Error error() const override { return error_; }
  Body* part(Arena& arena, uint64_t offset, uint64_t bytes) override;

  static constexpr size_t piece_bytes = 32 * 1024;

 private:
  FileRef file_;
  uint64_t offset_;
  uint64_t left_;
  Error error_;
};

}  // namespace fairlead::http
