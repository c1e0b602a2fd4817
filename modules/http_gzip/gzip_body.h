// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// GzipBody: a body compressed as it is pulled (RFC 1952). Whatever the source has given leaves, flushed, before it is waited for. Lies in
// the request's arena; gives zlib's memory back at the end of the body.
#pragma once

#include <zlib.h>

#include "http/message/body.h"
#include "http/message/memory_source.h"

namespace fairlead::http_gzip {

struct Strength {
  int level = 1;
  int window_bits = 15;
  int memory_level = 9;
  size_t output_bytes = 4096;  // of one piece
  uint64_t postpone_bytes = 0;  // nothing is compressed before so many bytes are there, or the source has to be waited for
};

// For $gzip_ratio; filled while the body is pulled.
struct Counts {
  uint64_t in = 0;
  uint64_t out = 0;
  bool complete = false;
};

class GzipBody final : public http::Body {
 public:
  GzipBody(http::Body& source, const Strength& strength, Counts& counts);
  ~GzipBody() { end_stream(); }
  GzipBody(const GzipBody&) = delete;
  GzipBody& operator=(const GzipBody&) = delete;

  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override { return source_.ready(); }
  Error error() const override { return failed_ ? Error{Fault::exhausted, Side::local, 0, "deflate() failed"} : source_.error(); }
  const http::Headers* trailers() const override { return source_.trailers(); }

 private:
  enum class Step : uint8_t { produced, more, failed };
  bool wants_input() const { return input_.empty() || (!started_ && input_.size() < strength_.postpone_bytes); }
  http::Poll pull();
  bool start_stream();
  void end_stream();
  Step deflate_some();
  void emit(http::Chunk& chunk);

  http::MemorySource source_;
  Strength strength_;
  Counts& counts_;
  z_stream stream_ = {};
  Chain input_;                               // pulled, not compressed yet
  SegmentRef output_;
  int flush_ = Z_NO_FLUSH;                    // what deflate() has to be brought to before more is pulled
  bool started_ = false;
  bool dirty_ = false;                        // zlib holds input that was not flushed
  bool source_failed_ = false;
  bool finished_ = false;
  bool failed_ = false;
};

}  // namespace fairlead::http_gzip
