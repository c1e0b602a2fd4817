// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_slice/slice_body.h"

#include <algorithm>

namespace fairlead::http_slice {

using http::Chunk;
using http::KnownHeader;
using http::Poll;
using http::Subrequest;
using http::SubrequestPlan;

std::optional<uint64_t> SliceBody::size() const {
  uint64_t given_to = begun_ ? std::clamp(at_, plan_.begin, plan_.end) : plan_.begin;
  return plan_.end - given_to;
}

http::Body* SliceBody::part(Arena& arena, uint64_t offset, uint64_t bytes) {
  Plan plan = plan_;
  plan.begin = plan_.begin + offset;
  plan.end = plan.begin + bytes;
  return arena.make<SliceBody>(request_, source_, plan);
}

// The next piece of the slice that is there; end: it has no more.
Poll SliceBody::poll_source(Chunk& chunk) {
  if (!first_ended_) {
    Poll polled = source_.poll(chunk);
    first_ended_ = polled == Poll::end;
    return polled;
  }
  if (!slice_ || next_ == slice_->body().count()) return Poll::end;
  const Slice& piece = slice_->body()[next_++];
  chunk.clear();
  chunk.bytes = piece.owner ? Slice(piece.owner, piece.data, piece.size) : Slice::copy_of(piece.view());
  return Poll::ready;
}

// Leaves what of the chunk is wanted. False: nothing is.
bool SliceBody::cut(Chunk& chunk) {
  uint64_t begin = at_, end = at_ + chunk.size();
  at_ = end;
  uint64_t from = std::max(begin, plan_.begin), to = std::min(end, plan_.end);
  if (from >= to) return false;
  if (chunk.is_file()) {
    chunk.file_offset += from - begin;
    chunk.file_bytes = to - from;
  } else {
    chunk.bytes.drop_front(static_cast<size_t>(from - begin));
    chunk.bytes.size = static_cast<size_t>(to - from);
  }
  return true;
}

Poll SliceBody::poll(Chunk& chunk) {
  if (error_.fault != Fault::none) return Poll::failed;
  waits_for_slice_ = false;
  if (!begun_) {
    skips_first_ = plan_.begin < plan_.first.begin || plan_.begin >= plan_.first.end;
    if (skips_first_) at_ = plan_.begin / plan_.slice_bytes * plan_.slice_bytes;
  }
  begun_ = true;
  while (skips_first_ || at_ < plan_.end) {
    Poll polled = poll_source(chunk);
    if (polled == Poll::pending || polled == Poll::failed) return polled;
    if (polled == Poll::ready) {
      if (!skips_first_ && cut(chunk)) return Poll::ready;
      chunk.clear();
      continue;
    }
    skips_first_ = false;
    slice_.reset();
    waits_for_slice_ = true;
    return Poll::pending;
  }
  slice_.reset();
  return Poll::end;
}

Task<Result<Unit>> SliceBody::ready() {
  if (!waits_for_slice_) return source_.ready();
  return fetch();
}

// The slice at `at_`, by the request's own location.
Task<Result<Unit>> SliceBody::fetch() {
  SubrequestPlan plan;
  plan.uri = request_.uri;
  plan.args = request_.args;
  plan.response_bytes_max = plan_.slice_bytes;
  plan.fails_if_longer = true;
  slice_ = std::make_unique<Subrequest>(request_, plan);
  next_ = 0;
  slice_->request().slot<SliceState>() = {0, at_};
  slice_->request().response.is_piece = true;
  co_await slice_->run();
  if (is_expected(*slice_)) co_return Unit();
  error_ = Error{Fault::malformed, Side::upstream, 0, "a slice of the response could not be had"};
  co_return error_;
}

static std::string_view tag_of(const http::Response& response) {
  return response.etag.empty() ? response.head.headers.value(KnownHeader::etag) : response.etag;
}

bool SliceBody::is_expected(Subrequest& slice) {
  const http::Response& response = slice.request().response;
  if (slice.status() != 206) {
    request_.logger.error("unexpected status code {} in slice response", slice.status());
    return false;
  }
  if (tag_of(response) != plan_.etag) {
    request_.logger.error("etag mismatch in slice response");
    return false;
  }
  auto range = parse_content_range(slice.fields().value(KnownHeader::content_range));
  if (!range) {
    request_.logger.error("invalid range in slice response");
    return false;
  }
  uint64_t end = std::min(at_ + plan_.slice_bytes, plan_.first.length);
  if (range->length != plan_.first.length || range->begin != at_ || range->end != end) {
    request_.logger.error("unexpected range in slice response: {}-{}", range->begin, range->end);
    return false;
  }
  if (!slice.is_cut() && slice.body().size() == end - at_) return true;
  request_.logger.error("slice response is not complete");
  return false;
}

}  // namespace fairlead::http_slice
