// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_charset/recode_body.h"

namespace fairlead::http_charset {

using http::Chunk;
using http::Poll;

Poll RecodeBody::poll(Chunk& chunk) {
  std::string text;
  while (text.empty()) {
    if (ended_) return Poll::end;
    Chunk pulled;
    Poll polled = source_.poll(pulled);
    if (polled == Poll::pending || polled == Poll::failed) return polled;
    if (polled == Poll::end) {
      ended_ = true;
      if (!held_.empty()) text.push_back('?');
      continue;
    }
    std::string_view piece = pulled.bytes.view(), rest;
    if (!held_.empty()) piece = held_.append(piece);
    map_.recode(way_, piece, text, rest);
    held_ = std::string(rest);
  }
  chunk.clear();
  chunk.bytes = Slice::copy_of(text);
  return Poll::ready;
}

http::Body* RecodeBody::part(Arena& arena, uint64_t offset, uint64_t bytes) {
  http::Body* cut = map_.is_utf8() ? nullptr : recoded_.part(arena, offset, bytes);
  return cut ? arena.make<RecodeBody>(*cut, map_, way_) : nullptr;
}

}  // namespace fairlead::http_charset
