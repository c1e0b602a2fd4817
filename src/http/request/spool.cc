// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/spool.h"

#include <algorithm>
#include <iterator>

namespace fairlead::http {

void Spool::fail(const Error& error) {
  error_ = error;
  source_state_ = Poll::failed;
}

void Spool::store(Chunk chunk) {
  stored_left_ += chunk.size();
  stored_bytes_ += chunk.size();
  if (!chunk.is_file()) memory_used_ += chunk.size();
  stored_.push_back(std::move(chunk));
  arrived_.set();
}

// A chunk goes to memory while there is room and nothing waits for the disk before it, else to
// the disk. The source's own file ranges cost nothing. Without room anywhere it is kept in memory
// all the same: it has been read.
void Spool::take(Chunk& chunk) {
  bool fits = memory_used_ + (chunk.is_file() ? 0 : chunk.size()) <= limits_.memory_bytes;
  if (to_file_.empty() && (chunk.is_file() || fits || !file_has_room())) {
    store(std::move(chunk));
  } else {
    FL_ASSERT(!chunk.is_file());
    to_file_.push_back(std::move(chunk.bytes));
  }
  chunk.clear();
}

// Writes what was gathered. If that fails in background reading, the bytes go back to memory and the file is not used again.
Task<Unit> Spool::write_out() {
  uint64_t offset = file_->size();
  auto written = co_await file_->append(to_file_);
  Chunk chunk;
  if (written) {
    chunk.file = file_->file();
    chunk.file_offset = offset;
    chunk.file_bytes = to_file_.size();
    to_file_.clear();
    store(std::move(chunk));
    if (offset == 0 && watcher_) watcher_->begins_file(file_->name());
    co_return Unit();
  }
  file_error_ = written.error();
  Chain back = std::move(to_file_);
  for (size_t i = 0; i < back.count(); ++i) {
    chunk.bytes = back[i];
    store(chunk);
  }
  if (keeps_) fail(file_error_);
  co_return Unit();
}

// Not for what must be kept: there the limits are the end. What is given may free memory, and one
// chunk may always be read when there is none, or a disk that fails would end the body.
bool Spool::has_room() const {
  return memory_used_ < limits_.memory_bytes || file_has_room() || (!keeps_ && memory_used_ == 0);
}

Task<Unit> Spool::wait_for_room() {
  while (!has_room()) {
    room_.reset();
    co_await room_.wait();
  }
  co_return Unit();
}

// Reads until the source ends, fails, or (when everything must be kept) the limits are passed.
Task<Unit> Spool::read_on() {
  Chunk chunk;
  while (source_state_ == Poll::ready) {
    if (to_file_.size() >= limits_.file_write_bytes || (!to_file_.empty() && !file_has_room())) {
      co_await write_out();
      continue;
    }
    if (!keeps_ && !has_room()) co_await wait_for_room();
    Poll polled = source_.poll(chunk);
    // What was gathered goes out before anybody waits, and before a file range of the source.
    if (!to_file_.empty() && (polled != Poll::ready || chunk.is_file())) {
      co_await write_out();
      if (polled != Poll::ready) continue;  // the source says the same again, or something better
      if (source_state_ != Poll::ready) break;
    }
    switch (polled) {
      case Poll::ready:
        if (keeps_ && !chunk.is_file() && !has_room()) fail(Error{Fault::too_large, Side::local, 0, "body is larger than its buffers"});
        take(chunk);
        break;
      case Poll::end: source_state_ = Poll::end; break;
      case Poll::failed: fail(source_.error()); break;
      case Poll::pending: {
        auto waited = co_await source_.ready();
        if (!waited) fail(waited.error());
      }
    }
  }
  arrived_.set();
  co_return Unit();
}

Task<Result<Unit>> Spool::fill_all() {
  FL_ASSERT(next_ == 0 && stored_.empty() && !is_reading());
  keeps_ = true;
  co_await read_on();
  if (source_state_ == Poll::failed) co_return error_;
  co_return Unit();
}

void Spool::rewind() {
  FL_ASSERT(is_replayable());
  next_ = 0;
  stored_left_ = stored_bytes_;
}

std::string_view Spool::text(Arena& arena) {
  FL_ASSERT(is_in_memory());
  if (stored_.empty()) return {};
  if (stored_.size() == 1) return stored_[0].bytes.view();
  if (!text_.empty()) return text_;
  char* to = static_cast<char*>(arena.allocate(stored_bytes_, 1));
  char* at = to;
  for (const Chunk& chunk : stored_) at = std::copy_n(chunk.bytes.data, chunk.bytes.size, at);
  return text_ = {to, static_cast<size_t>(stored_bytes_)};
}

void Spool::join() {
  FL_ASSERT(is_in_memory() && next_ == 0);
  if (stored_.size() < 2) return;
  auto bytes = static_cast<size_t>(stored_bytes_);
  SegmentRef segment = SegmentRef::try_make(bytes);
  if (!segment) return;  // in pieces it serves as well
  char* at = segment->bytes();
  for (const Chunk& chunk : stored_) at = std::copy_n(chunk.bytes.data, chunk.bytes.size, at);
  const char* begin = segment->bytes();
  Chunk whole;
  whole.bytes = Slice(std::move(segment), begin, bytes);
  stored_.clear();
  stored_.push_back(std::move(whole));
}

void Spool::read_ahead() {
  if (source_state_ != Poll::ready || reader_.is_started()) return;
  reader_.start(read_on());
}

Poll Spool::give_stored(Chunk& chunk) {
  if (keeps_) {
    chunk = stored_[next_++];
    stored_left_ -= chunk.size();
    return Poll::ready;
  }
  chunk = std::move(stored_[next_]);
  stored_[next_++].clear();
  uint64_t bytes = chunk.size();
  stored_left_ -= bytes;
  stored_bytes_ -= bytes;
  if (!chunk.is_file()) memory_used_ -= bytes;
  if (next_ == stored_.size()) {
    stored_.clear();
    next_ = 0;
  } else if (next_ >= 64 && next_ * 2 >= stored_.size()) {
    stored_.erase(stored_.begin(), stored_.begin() + static_cast<std::ptrdiff_t>(next_));
    next_ = 0;
  }
  room_.set();
  return Poll::ready;
}

Poll Spool::poll(Chunk& chunk) {
  if (has_stored()) return give_stored(chunk);
  if (is_reading()) return Poll::pending;
  if (source_state_ != Poll::ready) return source_state_;
  Poll polled = source_.poll(chunk);
  if (polled == Poll::end) source_state_ = Poll::end;
  if (polled == Poll::failed) fail(source_.error());
  return polled;
}

Task<Result<Unit>> Spool::wait_arrived() {
  while (!has_stored() && is_reading()) {
    arrived_.reset();
    co_await arrived_.wait();
  }
  co_return Unit();
}

Task<Result<Unit>> Spool::ready() { return is_reading() ? wait_arrived() : source_.ready(); }

std::optional<uint64_t> Spool::size() const {
  if (source_state_ != Poll::ready) return buffered_bytes();
  auto left = source_.size();
  if (left) *left += buffered_bytes();
  return left;
}

const Headers* Spool::trailers() const { return source_state_ == Poll::end && buffered_bytes() == 0 ? source_.trailers() : nullptr; }

}  // namespace fairlead::http
