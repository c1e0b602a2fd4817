// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Bodies over files beside the plain FileBody. ReadFileBody reads a range into memory in pieces, for responses without sendfile() and for
// filters that have to see the bytes. WarmFileBody gives ranges for sendfile() whose bytes are in memory. Without threads a page that is
// not in the cache holds the worker for one access of the disk; with them it holds only its own request.
#pragma once

#include "event/file/blocking.h"
#include "http/message/body.h"

namespace fairlead::http {

struct ReadRules {
  size_t piece_bytes = 32 * 1024;
  size_t alignment = 0;          // of the file's offsets and of the memory (O_DIRECT), a power of two; 0: none
  BlockingPool* pool = nullptr;  // reads what is not in memory; nullptr: the worker waits for the disk itself
};

class ReadFileBody final : public Body {
 public:
  ReadFileBody(FileRef file, uint64_t offset, uint64_t bytes, const ReadRules& rules = {})
      : file_(std::move(file)), offset_(offset), left_(bytes), rules_(rules) {}
  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override { return left_; }
  Error error() const override { return error_; }
  Body* part(Arena& arena, uint64_t offset, uint64_t bytes) override;

 private:
  // The next piece: where it lies in memory and in the file.
  struct Piece {
    SegmentRef segment;
    char* to = nullptr;
    uint64_t offset = 0;  // aligned
    size_t bytes = 0;     // aligned
    size_t skip = 0;      // bytes in front that nobody asked for
    size_t wanted = 0;    // behind them
  };
  Piece next_piece() const;
  Poll give(Chunk& chunk, Piece piece, ssize_t got, int err);
  Task<Result<Unit>> load();

  FileRef file_;
  uint64_t offset_;
  uint64_t left_;
  ReadRules rules_;
  Piece loaded_;             // by a thread, not yet given
  ssize_t loaded_bytes_ = 0;
  int loaded_err_ = 0;
  Error error_;
};

class WarmFileBody final : public Body {
 public:
  WarmFileBody(BlockingPool& pool, FileRef file, uint64_t offset, uint64_t bytes)
      : pool_(pool), file_(std::move(file)), offset_(offset), left_(bytes) {}
  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override { return left_; }
  Error error() const override { return error_; }
  Body* part(Arena& arena, uint64_t offset, uint64_t bytes) override;

 private:
  size_t piece_bytes() const;
  bool is_in_memory() const;

  BlockingPool& pool_;
  FileRef file_;
  uint64_t offset_;
  uint64_t left_;
  bool is_warm_ = false;  // a thread has just read the next piece
  Error error_;
};

}  // namespace fairlead::http
