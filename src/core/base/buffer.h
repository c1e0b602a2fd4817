// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Bytes in flight: Segment (refcounted memory from the pool), Slice (a view that may keep its Segment alive), Chain (slices to be
// written together), ChainWriter (text to slices). Nothing else touches raw bytes in flight. Not for the file threads.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace fairlead {

// Copies `text` to `to`; gives the place behind it. What heads are made of is short: two moves that overlap are cheaper than a call.
inline char* append_bytes(char* to, std::string_view text) {
  const char* from = text.data();
  size_t size = text.size();
  auto ends = [&]<class Word>(Word first, Word last) {
    std::memcpy(&first, from, sizeof first);
    std::memcpy(&last, from + size - sizeof last, sizeof last);
    std::memcpy(to, &first, sizeof first);
    std::memcpy(to + size - sizeof last, &last, sizeof last);
  };
  if (size > 16) std::memcpy(to, from, size);
  else if (size >= 8) ends(uint64_t{}, uint64_t{});
  else if (size >= 4) ends(uint32_t{}, uint32_t{});
  else if (size >= 2) ends(uint16_t{}, uint16_t{});
  else if (size == 1) *to = *from;
  return to + size;
}

// A block of `capacity` bytes behind this header. Made with one reference.
struct Segment {
  uint32_t references;
  uint32_t capacity;

  static Segment* make(size_t capacity);
  static Segment* try_make(size_t capacity);
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  void retain() { ++references; }
  void release() {
    if (--references == 0) free_memory();
  }

 private:
  void free_memory();
};

// Owns one reference of a Segment, or nothing.
class SegmentRef {
 public:
  SegmentRef() = default;
  static SegmentRef make(size_t capacity) { return SegmentRef(Segment::make(capacity)); }  // adopts the first reference
  // Empty where there is no memory for it, which is so of large ones only
  // (pool_try_allocate_large).
  static SegmentRef try_make(size_t capacity) { return SegmentRef(Segment::try_make(capacity)); }
  static SegmentRef share(Segment* segment) {
    if (segment) segment->retain();
    return SegmentRef(segment);
  }
  SegmentRef(SegmentRef&& other) noexcept : segment_(std::exchange(other.segment_, nullptr)) {}
  SegmentRef(const SegmentRef& other) : segment_(other.segment_) { if (segment_) segment_->retain(); }
  SegmentRef& operator=(SegmentRef other) noexcept { std::swap(segment_, other.segment_); return *this; }
  ~SegmentRef() { if (segment_) segment_->release(); }
  Segment* get() const { return segment_; }
  Segment* operator->() const { return segment_; }
  explicit operator bool() const { return segment_ != nullptr; }
  void reset() { *this = SegmentRef(); }

 private:
  explicit SegmentRef(Segment* segment) : segment_(segment) {}
  Segment* segment_ = nullptr;
};

// A view of bytes. Without an owner the bytes are somebody else's and must outlive the slice (literals, the request arena).
struct Slice {
  SegmentRef owner;
  const char* data = nullptr;
  size_t size = 0;

  Slice() = default;
  explicit Slice(std::string_view text) : data(text.data()), size(text.size()) {}
  Slice(SegmentRef segment, const char* at, size_t bytes) : owner(std::move(segment)), data(at), size(bytes) {}
  std::string_view view() const { return {data, size}; }
  bool empty() const { return size == 0; }
  void drop_front(size_t bytes) {
    FL_ASSERT(bytes <= size);
    data += bytes;
    size -= bytes;
  }
  // The first `bytes` of it as a slice of their own; they leave this one.
  Slice cut_front(size_t bytes) {
    FL_ASSERT(bytes <= size);
    Slice front(owner, data, bytes);
    drop_front(bytes);
    return front;
  }
  static Slice copy_of(std::string_view text);
};

// Slices in order. Four need no memory of their own; more move to a block of the pool. Only places [first_, last_) hold a Slice.
class Chain {
 public:
  Chain() = default;
  Chain(Chain&& other) noexcept { steal(other); }
  Chain& operator=(Chain&& other) noexcept {
    if (this != &other) {
      clear();
      steal(other);
    }
    return *this;
  }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  ~Chain() {
    if (room_ != inline_count || last_ != first_) clear();
  }

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }  // bytes
  size_t count() const { return last_ - first_; }
  Slice& operator[](size_t index) { return at()[first_ + index]; }
  const Slice& operator[](size_t index) const { return at()[first_ + index]; }
  // Empty slices are not kept.
  void push_back(Slice slice) {
    if (slice.empty()) return;
    if (last_ == room_) make_room();
    size_ += slice.size;
    new (at() + last_++) Slice(std::move(slice));
  }
  // The last slice, of bytes without an owner, grows by the `bytes` that lie right behind it.
  void extend_last(size_t bytes) {
    FL_ASSERT(last_ != first_ && !at()[last_ - 1].owner);
    at()[last_ - 1].size += bytes;
    size_ += bytes;
  }
  void append(Chain&& other);
  // Forgets the first `bytes` (at most size()).
  void drop_front(size_t bytes) {
    if (bytes == size_) drop_all();
    else drop_some(bytes);
  }
  // Forgets everything, and gives back the memory.
  void clear();
  // The slices of `other` again, sharing the bytes.
  void append_shared(const Chain& other);
  // The same slices again, sharing the bytes.
  Chain share() const;
  // Fills at most `most` entries, in order; gives how many.
  int fill(iovec* vectors, int most) const;

 private:
  Slice* at() { return room_ == inline_count ? reinterpret_cast<Slice*>(inline_) : outside_; }
  const Slice* at() const { return const_cast<Chain*>(this)->at(); }
  void drop_all();
  void drop_some(size_t bytes);
  void steal(Chain& other);
  void make_room();
  static constexpr uint32_t inline_count = 4;
  uint32_t first_ = 0, last_ = 0, room_ = inline_count;  // more than inline_count: of a block in outside_
  size_t size_ = 0;
  union {
    alignas(Slice) char inline_[inline_count * sizeof(Slice)];
    Slice* outside_;
  };
};

// Appends text to a Chain, in segments of at least `segment_bytes`.
class ChainWriter {
 public:
  explicit ChainWriter(Chain& chain, size_t segment_bytes = 1024) : chain_(chain), segment_bytes_(segment_bytes) {}
  ~ChainWriter() {
    if (next_ != begin_) hand_over_last();
  }
  ChainWriter(const ChainWriter&) = delete;
  ChainWriter& operator=(const ChainWriter&) = delete;
  void write(std::string_view text) {
    if (text.empty()) return;  // next_ may still be null
    if (text.size() > static_cast<size_t>(end_ - next_)) reserve(text.size());
    std::memcpy(next_, text.data(), text.size());
    next_ += text.size();
  }
  void write(char byte) {
    if (next_ == end_) reserve(1);
    *next_++ = byte;
  }
  // Makes `bytes` contiguous bytes writable at the returned place; advance(n) takes n of them.
  char* reserve(size_t bytes) { return bytes <= static_cast<size_t>(end_ - next_) ? next_ : begin_segment(bytes); }
  void advance(size_t bytes) { next_ += bytes; }
  // Hands what was written to the chain.
  void flush();

 private:
  char* begin_segment(size_t bytes);
  void hand_over_last();

  Chain& chain_;
  size_t segment_bytes_;
  SegmentRef segment_;
  char* begin_ = nullptr;
  char* next_ = nullptr;
  char* end_ = nullptr;
};

}  // namespace fairlead
