// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/body_beginning.h"

#include <algorithm>

#include "core/base/text.h"
#include "http/message/file_body.h"
#include "http/request/read_body.h"

namespace fairlead {

ConfResult<Unit> ConfValue<http::BodyShare>::parse(Line& line, http::BodyShare& field) {
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_mega);
  if (!bytes) return line.invalid_value(1);
  field.bytes_max = *bytes;
  field.partial = line.word_count() > 1;
  if (field.partial && line.word(2) != "partial") return line.invalid_parameter(2);
  return Unit();
}

}  // namespace fairlead

namespace fairlead::http {

static void take_piece(BodyBeginning& beginning, Slice piece, uint64_t most) {
  uint64_t room = most - beginning.bytes.size();
  if (piece.size > room) beginning.is_cut = true;
  if (room > 0) beginning.bytes.push_back(piece.cut_front(std::min<uint64_t>(room, piece.size)));
}

static Task<Result<Unit>> read_pieces(Request& request, uint64_t most, BodyBeginning& beginning) {
  auto read = co_await read_body(request);
  if (!read) co_return read.error();
  Body& body = request.body();
  for (Chunk chunk; !beginning.is_cut; chunk.clear()) {
    Poll polled = co_await next(body, chunk);
    if (polled == Poll::end) break;
    if (polled != Poll::ready) co_return body.error();
    if (!chunk.is_file()) {
      take_piece(beginning, std::move(chunk.bytes), most);
      continue;
    }
    ReadFileBody file(std::move(chunk.file), chunk.file_offset, chunk.file_bytes);
    for (Chunk piece; !beginning.is_cut && file.poll(piece) == Poll::ready; piece.clear())
      take_piece(beginning, std::move(piece.bytes), most);
    if (file.error().fault != Fault::none) co_return file.error();
  }
  rewind_body(request);
  co_return Unit();
}

Task<Verdict> read_beginning(Request& request, const BodyShare& share, BodyBeginning& beginning) {
  int64_t announced = request.head.framing.content_length;
  if (!share.partial && announced > static_cast<int64_t>(share.bytes_max)) co_return Verdict::status(413);
  auto read = co_await read_pieces(request, share.bytes_max, beginning);
  if (!read) co_return Verdict::status(status_of_body_failure(read.error()));
  if (beginning.is_cut && !share.partial) co_return Verdict::status(413);
  co_return Verdict::next();
}

}  // namespace fairlead::http
