// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/buffer.h"

#include <algorithm>

#include "core/base/pool.h"

namespace fairlead {

static Segment* begin_segment(void* block, size_t bytes) {
  Segment* segment = static_cast<Segment*>(block);
  segment->references = 1;
  segment->capacity = static_cast<uint32_t>(bytes - sizeof(Segment));
  return segment;
}

Segment* Segment::make(size_t capacity) {
  size_t bytes = capacity + sizeof(Segment);
  void* block = pool_allocate_all(bytes);
  return begin_segment(block, bytes);
}

Segment* Segment::try_make(size_t capacity) {
  size_t bytes = capacity + sizeof(Segment);
  if (bytes <= pool_detail::class_bytes_max) return make(capacity);
  void* block = pool_try_allocate_large(bytes);
  return block ? begin_segment(block, bytes) : nullptr;
}

// By itself: whoever drops a slice seldom comes here.
[[gnu::noinline]] void Segment::free_memory() { pool_release(this, capacity + sizeof(Segment)); }

Slice Slice::copy_of(std::string_view text) {
  if (text.empty()) return Slice();
  SegmentRef segment = SegmentRef::make(text.size());
  std::memcpy(segment->bytes(), text.data(), text.size());
  const char* at = segment->bytes();
  return Slice(std::move(segment), at, text.size());
}

// From `from` to `to`, which may overlap at a lower address. A Slice is moved by its bytes: nothing points to it.
static void move_slices(Slice* to, Slice* from, uint32_t count) {
  std::memmove(static_cast<void*>(to), static_cast<void*>(from), count * sizeof(Slice));
}

void Chain::make_room() {
  uint32_t used = last_ - first_;
  if (first_ > 0 && used * 2 <= room_) {  // room at the front: move down
    move_slices(at(), at() + first_, used);
  } else {
    uint32_t room = room_ * 2;
    Slice* to = static_cast<Slice*>(pool_allocate(room * sizeof(Slice)));
    move_slices(to, at() + first_, used);
    if (room_ != inline_count) pool_release(outside_, room_ * sizeof(Slice));
    outside_ = to;
    room_ = room;
  }
  first_ = 0;
  last_ = used;
}

void Chain::append(Chain&& other) {
  for (uint32_t i = other.first_; i < other.last_; ++i) push_back(std::move(other.at()[i]));
  other.clear();
}

void Chain::drop_all() {
  for (Slice *slice = at() + first_, *end = at() + last_; slice < end; ++slice) slice->~Slice();
  first_ = last_ = 0;
  size_ = 0;
}

void Chain::drop_some(size_t bytes) {
  FL_ASSERT(bytes <= size_);
  size_ -= bytes;
  for (; bytes > 0; ++first_) {
    Slice& slice = at()[first_];
    if (bytes < slice.size) return slice.drop_front(bytes);
    bytes -= slice.size;
    slice.~Slice();
  }
}

void Chain::clear() {
  drop_all();
  if (room_ == inline_count) return;
  pool_release(outside_, room_ * sizeof(Slice));
  room_ = inline_count;
}

void Chain::steal(Chain& other) {
  first_ = other.first_;
  last_ = other.last_;
  room_ = other.room_;
  size_ = other.size_;
  if (room_ != inline_count) outside_ = other.outside_;
  else move_slices(at() + first_, other.at() + first_, last_ - first_);
  other.first_ = other.last_ = 0;
  other.room_ = inline_count;
  other.size_ = 0;
}

void Chain::append_shared(const Chain& other) {
  for (uint32_t i = other.first_; i < other.last_; ++i) push_back(other.at()[i]);
}

Chain Chain::share() const {
  Chain copy;
  copy.append_shared(*this);
  return copy;
}

int Chain::fill(iovec* vectors, int most) const {
  const Slice* slice = at() + first_;
  int filled = static_cast<int>(std::min(last_ - first_, static_cast<uint32_t>(most)));
  for (int i = 0; i < filled; ++i, ++slice) {
    vectors[i].iov_base = const_cast<char*>(slice->data);
    vectors[i].iov_len = slice->size;
  }
  return filled;
}

char* ChainWriter::begin_segment(size_t bytes) {
  flush();
  segment_ = SegmentRef::make(std::max(bytes, segment_bytes_));
  begin_ = next_ = segment_->bytes();
  end_ = begin_ + segment_->capacity;
  return next_;
}

// As flush(), but nothing is written behind it: the reference to the segment goes, too.
void ChainWriter::hand_over_last() {
  chain_.push_back(Slice(std::move(segment_), begin_, static_cast<size_t>(next_ - begin_)));
}

void ChainWriter::flush() {
  if (next_ == begin_) return;
  size_t bytes = static_cast<size_t>(next_ - begin_);
  chain_.push_back(Slice(segment_, begin_, bytes));
  begin_ = next_;
}

}  // namespace fairlead
