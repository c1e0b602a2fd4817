// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/buffer.h"

#include <algorithm>
#include <charconv>

#include "core/base/pool.h"

namespace fairlead {

Segment* Segment::make(size_t capacity) {
  size_t bytes = capacity + sizeof(Segment);
  Segment* segment = static_cast<Segment*>(pool_allocate_all(bytes));
  segment->references = 1;
  segment->capacity = static_cast<uint32_t>(bytes - sizeof(Segment));
  return segment;
}

void Segment::free_memory() { pool_release(this, capacity + sizeof(Segment)); }

Slice Slice::copy_of(std::string_view text) {
  if (text.empty()) return Slice();
  SegmentRef segment = SegmentRef::make(text.size());
  std::memcpy(segment->bytes(), text.data(), text.size());
  const char* at = segment->bytes();
  return Slice(std::move(segment), at, text.size());
}

void Chain::grow() {
  uint32_t used = last_ - first_;
  if (first_ > 0 && used * 2 <= room_) {  // room at the front: move down
    std::move(at_ + first_, at_ + last_, at_);
    first_ = 0;
    last_ = used;
    return;
  }
  uint32_t room = room_ * 2;
  Slice* to = static_cast<Slice*>(pool_allocate(room * sizeof(Slice)));
  for (uint32_t i = 0; i < room; ++i) new (to + i) Slice;
  std::move(at_ + first_, at_ + last_, to);
  if (at_ != inline_) {
    for (uint32_t i = 0; i < room_; ++i) at_[i].~Slice();
    pool_release(at_, room_ * sizeof(Slice));
  }
  at_ = to;
  room_ = room;
  first_ = 0;
  last_ = used;
}

void Chain::push_back(Slice slice) {
  if (slice.empty()) return;
  if (last_ == room_) grow();
  size_ += slice.size;
  at_[last_++] = std::move(slice);
}

void Chain::append(Chain&& other) {
  for (uint32_t i = other.first_; i < other.last_; ++i) push_back(std::move(other.at_[i]));
  other.clear();
}

void Chain::drop_front(size_t bytes) {
  FL_ASSERT(bytes <= size_);
  size_ -= bytes;
  while (bytes > 0) {
    Slice& slice = at_[first_];
    if (bytes < slice.size) {
      slice.drop_front(bytes);
      return;
    }
    bytes -= slice.size;
    slice = Slice();
    ++first_;
  }
  if (first_ == last_) first_ = last_ = 0;
}

void Chain::clear() {
  for (uint32_t i = first_; i < last_; ++i) at_[i] = Slice();
  if (at_ != inline_) {
    for (uint32_t i = 0; i < room_; ++i) at_[i].~Slice();
    pool_release(at_, room_ * sizeof(Slice));
    at_ = inline_;
    room_ = inline_count;
  }
  first_ = last_ = 0;
  size_ = 0;
}

void Chain::steal(Chain& other) {
  if (other.at_ != other.inline_) {
    at_ = other.at_;
    room_ = other.room_;
    first_ = other.first_;
    last_ = other.last_;
  } else {
    for (uint32_t i = other.first_; i < other.last_; ++i) inline_[i] = std::move(other.inline_[i]);
    first_ = other.first_;
    last_ = other.last_;
  }
  size_ = other.size_;
  other.at_ = other.inline_;
  other.room_ = inline_count;
  other.first_ = other.last_ = 0;
  other.size_ = 0;
}

void Chain::append_shared(const Chain& other) {
  for (uint32_t i = other.first_; i < other.last_; ++i) push_back(other.at_[i]);
}

Chain Chain::share() const {
  Chain copy;
  copy.append_shared(*this);
  return copy;
}

int Chain::fill(iovec* vectors, int most) const {
  int filled = 0;
  for (uint32_t i = first_; i < last_ && filled < most; ++i, ++filled) {
    vectors[filled].iov_base = const_cast<char*>(at_[i].data);
    vectors[filled].iov_len = at_[i].size;
  }
  return filled;
}

char* ChainWriter::reserve(size_t bytes) {
  if (static_cast<size_t>(end_ - next_) >= bytes) return next_;
  flush();
  segment_ = SegmentRef::make(std::max(bytes, segment_bytes_));
  begin_ = next_ = segment_->bytes();
  end_ = begin_ + segment_->capacity;
  return next_;
}

void ChainWriter::write_decimal(uint64_t value) {
  char* at = reserve(20);
  next_ = std::to_chars(at, at + 20, value).ptr;
}

void ChainWriter::write_hex(uint64_t value) {
  char* at = reserve(16);
  next_ = std::to_chars(at, at + 16, value, 16).ptr;
}

void ChainWriter::flush() {
  if (next_ == begin_) return;
  size_t bytes = static_cast<size_t>(next_ - begin_);
  chain_.push_back(Slice(segment_, begin_, bytes));
  begin_ = next_;
}

}  // namespace fairlead
