// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// body_filter_by_lua as a Body: each chunk of the source goes through the script, which sees and may change it as ngx.arg. In the request's
// arena.
#pragma once

#include "http/message/body.h"
#include "http/request/request.h"

namespace fairlead::lua {

struct Script;

class BodyFilter final : public http::Body {
 public:
  BodyFilter(http::Request& request, http::Body& source, const Script& script) : request_(request), source_(&source), script_(script) {}
  // Where ranges are cut, before the first poll(): the script sees what is sent.
  http::Body*& source() { return source_; }
  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override { return source_->ready(); }
  Error error() const override { return failed_ ? failure_ : source_->error(); }
  const http::Headers* trailers() const override { return source_->trailers(); }

 private:
  // Files are read in pieces of this size: a script works on bytes.
  static constexpr size_t file_piece_bytes = 32 * 1024;
  http::Poll take(http::Chunk& chunk);
  bool read_file(http::Chunk& chunk);
  bool run(http::Chunk& chunk, bool& last);

  http::Request& request_;
  http::Body* source_;
  const Script& script_;
  http::Chunk file_;     // a range of a file that is not given yet
  bool ended_ = false;   // the script has seen the last chunk, or made one the last
  bool failed_ = false;
  Error failure_;
};

}  // namespace fairlead::lua
