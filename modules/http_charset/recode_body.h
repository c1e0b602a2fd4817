// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// RecodeBody: a body recoded by a CharsetMap as it is pulled. A character cut by the end of a piece waits for the next one. Lies in the
// request's arena.
#pragma once

#include "http/message/memory_source.h"
#include "modules/http_charset/charset_map.h"

namespace fairlead::http_charset {

class RecodeBody final : public http::Body {
 public:
  RecodeBody(http::Body& source, const CharsetMap& map, CharsetMap::Way way) : source_(source), recoded_(source), map_(map), way_(way) {}

  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override { return source_.ready(); }
  std::optional<uint64_t> size() const override { return map_.is_utf8() ? std::nullopt : source_.size(); }
  Error error() const override { return source_.error(); }
  http::Body* part(Arena& arena, uint64_t offset, uint64_t bytes) override;
  const http::Headers* trailers() const override { return source_.trailers(); }

 private:
  http::MemorySource source_;
  http::Body& recoded_;  // what the source reads
  const CharsetMap& map_;
  CharsetMap::Way way_;
  std::string held_;  // the begin of a character
  bool ended_ = false;
};

}  // namespace fairlead::http_charset
