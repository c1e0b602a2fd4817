// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// GunzipBody: a gzip body (RFC 1952, one member or several) decompressed as it is pulled. A body that ends within a member fails. Lies in
// the request's arena; gives zlib's memory back at the end of the body.
#pragma once

#include <zlib.h>

#include "http/message/memory_source.h"

namespace fairlead::http_gunzip {

class GunzipBody final : public http::Body {
 public:
  // `piece_bytes`: the most that one chunk holds; however small the input, no more than this lies in memory.
  GunzipBody(http::Body& source, size_t piece_bytes) : source_(source), piece_bytes_(piece_bytes) {}
  ~GunzipBody() { end_stream(); }
  GunzipBody(const GunzipBody&) = delete;
  GunzipBody& operator=(const GunzipBody&) = delete;

  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override { return source_.ready(); }
  Error error() const override { return error_.fault != Fault::none ? error_ : source_.error(); }
  const http::Headers* trailers() const override { return source_.trailers(); }

 private:
  bool start_stream();
  void end_stream();
  http::Poll fail(const char* what);
  bool inflate_some(http::Chunk& chunk);

  http::MemorySource source_;
  size_t piece_bytes_;
  z_stream stream_ = {};
  Slice input_;
  bool started_ = false;
  bool within_member_ = false;  // a member has begun and not ended
  bool has_more_ = false;       // the last piece was full: zlib may hold more output
  bool ended_ = false;
  Error error_;
};

}  // namespace fairlead::http_gunzip
