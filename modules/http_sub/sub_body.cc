// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_sub/sub_body.h"

#include <cstring>
#include <utility>

namespace fairlead::http_sub {

using http::Chunk;
using http::Poll;

SubBody::SubBody(http::Request& request, http::Body& source, Plan plan)
    : request_(request), source_(source), plan_(std::move(plan)), texts_(plan_.patterns->size()), unused_(plan_.patterns->size()) {
  if (plan_.once) used_.resize(unused_);
}

// Evaluated when it is first needed, once for the response.
void SubBody::replace(size_t index) {
  std::string_view& text = texts_[index];
  if (!text.data()) {
    text = plan_.replacements[index]->evaluate(request_);
    if (!text.data()) text = "";
  }
  output_.push_back(Slice(text));
  if (!plan_.once) return;
  used_[index] = true;
  --unused_;
}

static Slice joined(const Slice& front, const Slice& back) {
  SegmentRef segment = SegmentRef::make(front.size + back.size);
  char* to = segment->bytes();
  std::memcpy(to, front.data, front.size);
  std::memcpy(to + front.size, back.data, back.size);
  return Slice(std::move(segment), to, front.size + back.size);
}

void SubBody::take(Slice bytes) {
  if (!held_.empty()) bytes = joined(std::exchange(held_, Slice()), bytes);
  while (!bytes.empty() && unused_ > 0) {
    Patterns::Found found = plan_.patterns->find(bytes.view(), 0, used_);
    output_.push_back(bytes.cut_front(found.at));
    if (found.kind == Patterns::Found::Kind::none) return;
    if (found.kind == Patterns::Found::Kind::partial) {
      held_ = Slice::copy_of(bytes.view());  // short; what it was cut from need not stay
      return;
    }
    bytes.drop_front(plan_.patterns->bytes_of(found.index));
    replace(found.index);
  }
  output_.push_back(std::move(bytes));
}

// The next bytes to give. Short pieces leave as one: each piece may become a chunk on the wire, with a size line of its own.
static Slice take_gathered(Chain& output) {
  constexpr size_t short_bytes = 1024, gathered_bytes_max = 8192;
  size_t bytes = output[0].size;
  if (bytes < short_bytes) {
    for (size_t i = 1; i < output.count() && output[i].size < short_bytes && bytes + output[i].size <= gathered_bytes_max; ++i)
      bytes += output[i].size;
  }
  if (bytes == output[0].size) {
    Slice first(output[0].owner, output[0].data, output[0].size);
    output.drop_front(bytes);
    return first;
  }
  SegmentRef segment = SegmentRef::make(bytes);
  char* to = segment->bytes();
  for (size_t left = bytes; left > 0;) {
    size_t piece = output[0].size;
    std::memcpy(to + (bytes - left), output[0].data, piece);
    left -= piece;
    output.drop_front(piece);
  }
  return Slice(std::move(segment), to, bytes);
}

Poll SubBody::poll(Chunk& chunk) {
  while (output_.empty()) {
    if (ended_) return Poll::end;
    Chunk pulled;
    Poll polled = source_.poll(pulled);
    if (polled == Poll::pending || polled == Poll::failed) return polled;
    if (polled == Poll::ready) take(std::move(pulled.bytes));
    if (polled != Poll::end) continue;
    ended_ = true;
    output_.push_back(std::exchange(held_, Slice()));
  }
  chunk.clear();
  chunk.bytes = take_gathered(output_);
  return Poll::ready;
}

}  // namespace fairlead::http_sub
