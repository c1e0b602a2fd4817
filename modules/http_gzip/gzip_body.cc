// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_gzip/gzip_body.h"

#include <utility>

namespace fairlead::http_gzip {

using http::Chunk;
using http::Poll;

GzipBody::GzipBody(http::Body& source, const Strength& strength, Counts& counts) : source_(source), strength_(strength), counts_(counts) {}

bool GzipBody::start_stream() {
  if (started_) return true;
  constexpr int gzip_wrapper = 16;  // added to the window bits: deflateInit2 then writes the gzip format
  started_ = ::deflateInit2(&stream_, strength_.level, Z_DEFLATED, strength_.window_bits + gzip_wrapper, strength_.memory_level,
                            Z_DEFAULT_STRATEGY) == Z_OK;
  failed_ = !started_;
  return started_;
}

void GzipBody::end_stream() {
  if (started_) ::deflateEnd(&stream_);
  started_ = false;
}

// Takes the next bytes of the source into input_. Where there are none, what came before them has to leave: ahead of the wait, and also of
// the failure, as it would without compression.
Poll GzipBody::pull() {
  if (source_failed_) return Poll::failed;
  Chunk chunk;
  Poll polled = source_.poll(chunk);
  if (polled == Poll::ready) input_.push_back(std::move(chunk.bytes));
  else if (polled == Poll::end) flush_ = Z_FINISH;
  else if (dirty_ || !input_.empty()) flush_ = Z_SYNC_FLUSH;
  source_failed_ = polled == Poll::failed;
  return polled;
}

// One call of deflate() over the first slice of input_, or for a flush.
GzipBody::Step GzipBody::deflate_some() {
  if (!output_) {
    output_ = SegmentRef::make(strength_.output_bytes);
    stream_.next_out = reinterpret_cast<Bytef*>(output_->bytes());
    stream_.avail_out = static_cast<uInt>(strength_.output_bytes);
  }
  size_t given = input_.empty() ? 0 : input_[0].size;
  stream_.next_in = input_.empty() ? nullptr : reinterpret_cast<Bytef*>(const_cast<char*>(input_[0].data));
  stream_.avail_in = static_cast<uInt>(given);
  bool last = input_.count() <= 1;
  int result = ::deflate(&stream_, last ? flush_ : Z_NO_FLUSH);
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
    failed_ = true;
    return Step::failed;
  }
  size_t taken = given - stream_.avail_in;
  counts_.in += taken;
  if (taken > 0) input_.drop_front(taken);
  if (result == Z_STREAM_END) {
    finished_ = true;
    return Step::produced;
  }
  if (stream_.avail_out == 0) return Step::produced;
  if (input_.empty() && flush_ == Z_SYNC_FLUSH) {  // room was left, so the flush is complete
    flush_ = Z_NO_FLUSH;
    dirty_ = false;
    return Step::produced;
  }
  return Step::more;
}

void GzipBody::emit(Chunk& chunk) {
  size_t bytes = strength_.output_bytes - stream_.avail_out;
  counts_.out += bytes;
  chunk.clear();
  SegmentRef segment = std::move(output_);
  output_.reset();
  const char* at = segment->bytes();
  chunk.bytes = Slice(std::move(segment), at, bytes);
  if (finished_) {
    counts_.complete = true;
    end_stream();
  }
}

Poll GzipBody::poll(Chunk& chunk) {
  if (failed_) return Poll::failed;
  while (!finished_) {
    while (flush_ == Z_NO_FLUSH && wants_input()) {
      Poll polled = pull();
      if (polled != Poll::ready && flush_ == Z_NO_FLUSH) return polled;
    }
    if (!start_stream()) return Poll::failed;
    dirty_ = true;
    Step step = deflate_some();
    if (step == Step::failed) return Poll::failed;
    if (step == Step::produced && stream_.avail_out < strength_.output_bytes) {
      emit(chunk);
      return Poll::ready;
    }
  }
  return Poll::end;
}

}  // namespace fairlead::http_gzip
