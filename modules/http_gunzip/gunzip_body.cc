// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_gunzip/gunzip_body.h"

#include <utility>

namespace fairlead::http_gunzip {

using http::Chunk;
using http::Poll;

bool GunzipBody::start_stream() {
  if (started_) return true;
  constexpr int gzip_wrapper = 16;  // added to the window bits: inflateInit2 then takes the gzip format alone
  started_ = ::inflateInit2(&stream_, MAX_WBITS + gzip_wrapper) == Z_OK;
  within_member_ = started_;
  return started_;
}

void GunzipBody::end_stream() {
  if (started_) ::inflateEnd(&stream_);
  started_ = false;
}

Poll GunzipBody::fail(const char* what) {
  error_ = Error{Fault::malformed, Side::upstream, 0, what};
  end_stream();
  return Poll::failed;
}

// One call of inflate(). False: error_ is set. `chunk` may stay empty.
bool GunzipBody::inflate_some(Chunk& chunk) {
  SegmentRef segment = SegmentRef::make(piece_bytes_);
  stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input_.data));
  stream_.avail_in = static_cast<uInt>(input_.size);
  stream_.next_out = reinterpret_cast<Bytef*>(segment->bytes());
  stream_.avail_out = static_cast<uInt>(piece_bytes_);
  int result = ::inflate(&stream_, Z_SYNC_FLUSH);
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
    fail("inflate() failed: the body is no valid gzip");
    return false;
  }
  input_.drop_front(input_.size - stream_.avail_in);
  if (input_.empty()) input_ = Slice();
  within_member_ = result != Z_STREAM_END;
  has_more_ = within_member_ && stream_.avail_out == 0;
  if (!within_member_ && ::inflateReset(&stream_) != Z_OK) {
    fail("inflateReset() failed");
    return false;
  }
  size_t made = piece_bytes_ - stream_.avail_out;
  const char* at = segment->bytes();
  if (made > 0) chunk.bytes = Slice(std::move(segment), at, made);
  return true;
}

Poll GunzipBody::poll(Chunk& chunk) {
  if (error_.fault != Fault::none) return Poll::failed;
  while (!ended_) {
    if (input_.empty() && !has_more_) {
      Chunk pulled;
      Poll polled = source_.poll(pulled);
      if (polled == Poll::pending || polled == Poll::failed) return polled;
      if (polled == Poll::end) {
        if (within_member_) return fail("inflate() failed: the gzip body is cut short");
        ended_ = true;
        end_stream();
        break;
      }
      input_ = std::move(pulled.bytes);
      if (!start_stream()) return fail("inflateInit2() failed");
    }
    chunk.clear();
    within_member_ = true;
    if (!inflate_some(chunk)) return Poll::failed;
    if (!chunk.bytes.empty()) return Poll::ready;
  }
  return Poll::end;
}

}  // namespace fairlead::http_gunzip
