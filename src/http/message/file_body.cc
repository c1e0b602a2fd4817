// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/file_body.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "core/base/arena.h"

namespace fairlead::http {

static Task<Result<Unit>> at_once() { co_return Unit(); }

static ssize_t read_at(int fd, char* to, size_t bytes, uint64_t offset) {
  ssize_t got;
  do got = ::pread(fd, to, bytes, static_cast<off_t>(offset));
  while (got < 0 && errno == EINTR);
  return got;
}

// Only what is in memory: -1 with EAGAIN if that is not the first byte.
static ssize_t read_cached(int fd, char* to, size_t bytes, uint64_t offset) {
#if defined(RWF_NOWAIT)
  iovec vector{to, bytes};
  ssize_t got = ::preadv2(fd, &vector, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  if (got < 0 && errno == EOPNOTSUPP) errno = EAGAIN;  // this file system cannot say
  return got;
#else
  (void)fd, (void)to, (void)bytes, (void)offset;
  errno = EAGAIN;
  return -1;
#endif
}

static Error truncated() { return Error{Fault::closed, Side::local, 0, "file was truncated while it was sent"}; }

// -- read into memory --

ReadFileBody::Piece ReadFileBody::next_piece() const {
  Piece piece;
  piece.wanted = static_cast<size_t>(std::min<uint64_t>(left_, rules_.piece_bytes));
  piece.offset = offset_;
  piece.bytes = piece.wanted;
  if (!rules_.alignment) {
    piece.segment = SegmentRef::make(piece.bytes);
    piece.to = piece.segment->bytes();
    return piece;
  }
  uint64_t mask = rules_.alignment - 1;
  piece.offset = offset_ & ~mask;
  piece.skip = static_cast<size_t>(offset_ - piece.offset);
  piece.bytes = static_cast<size_t>((piece.skip + piece.wanted + mask) & ~mask);
  piece.segment = SegmentRef::make(piece.bytes + rules_.alignment);
  auto address = reinterpret_cast<uintptr_t>(piece.segment->bytes());
  piece.to = piece.segment->bytes() + ((mask - ((address - 1) & mask)));
  return piece;
}

// `got` bytes of the piece are there, or `err` says why not.
Poll ReadFileBody::give(Chunk& chunk, Piece piece, ssize_t got, int err) {
  if (got <= 0 || static_cast<size_t>(got) <= piece.skip) {
    error_ = got < 0 ? Error::from_errno(err, "pread() failed") : truncated();
    return Poll::failed;
  }
  size_t bytes = std::min(static_cast<size_t>(got) - piece.skip, piece.wanted);
  offset_ += bytes;
  left_ -= bytes;
  chunk.clear();
  chunk.bytes = Slice(std::move(piece.segment), piece.to + piece.skip, bytes);
  return Poll::ready;
}

Poll ReadFileBody::poll(Chunk& chunk) {
  if (left_ == 0) return Poll::end;
  if (error_.fault != Fault::none) return Poll::failed;
  if (loaded_.segment) return give(chunk, std::exchange(loaded_, Piece{}), loaded_bytes_, loaded_err_);
  if (rules_.pool && rules_.alignment) return Poll::pending;  // past the page cache: always the disk
  Piece piece = next_piece();
  ssize_t got = rules_.pool ? read_cached(file_.fd(), piece.to, piece.bytes, piece.offset)
                            : read_at(file_.fd(), piece.to, piece.bytes, piece.offset);
  int err = errno;
  if (rules_.pool && got < 0 && err == EAGAIN) return Poll::pending;
  return give(chunk, std::move(piece), got, err);
}

namespace {
struct ReadPiece {
  FileRef file;
  SegmentRef segment;  // held for its bytes
  char* to;
  size_t bytes;
  uint64_t offset;
  struct Answer {
    ssize_t got;
    int err;
  };
  Answer operator()() const {
    ssize_t got = read_at(file.fd(), to, bytes, offset);
    return {got, got < 0 ? errno : 0};
  }
};
}  // namespace

Task<Result<Unit>> ReadFileBody::load() {
  Piece piece = next_piece();
  ReadPiece what{file_, piece.segment, piece.to, piece.bytes, piece.offset};
  auto reading = blocking(*rules_.pool, std::move(what));
  auto answer = co_await reading;
  if (!answer) {
    error_ = answer.error();
    co_return error_;
  }
  loaded_ = std::move(piece);
  loaded_bytes_ = answer->got;
  loaded_err_ = answer->err;
  co_return Unit();
}

Task<Result<Unit>> ReadFileBody::ready() { return rules_.pool ? load() : at_once(); }

Body* ReadFileBody::part(Arena& arena, uint64_t offset, uint64_t bytes) {
  if (offset > left_ || bytes > left_ - offset) return nullptr;
  return arena.make<ReadFileBody>(file_, offset_ + offset, bytes, rules_);
}

// -- brought into memory for sendfile() --

size_t WarmFileBody::piece_bytes() const {
  constexpr uint64_t most = 512 * 1024;  // long enough for the disk, short enough to stay in memory until it is sent
  return static_cast<size_t>(std::min(left_, most));
}

// The first and the last byte of the piece stand for all.
bool WarmFileBody::is_in_memory() const {
  char byte;
  return read_cached(file_.fd(), &byte, 1, offset_) == 1 && read_cached(file_.fd(), &byte, 1, offset_ + piece_bytes() - 1) == 1;
}

Poll WarmFileBody::poll(Chunk& chunk) {
  if (left_ == 0) return Poll::end;
  if (error_.fault != Fault::none) return Poll::failed;
  if (!is_warm_ && !is_in_memory()) return Poll::pending;
  is_warm_ = false;
  chunk.clear();
  chunk.file = file_;
  chunk.file_offset = offset_;
  chunk.file_bytes = piece_bytes();
  offset_ += chunk.file_bytes;
  left_ -= chunk.file_bytes;
  return Poll::ready;
}

namespace {
// Reads and forgets: the bytes are in the page cache then.
struct WarmPiece {
  FileRef file;
  uint64_t offset;
  size_t bytes;
  Result<Unit> operator()() const {
    char scratch[32 * 1024];
    for (size_t done = 0; done < bytes;) {
      ssize_t got = read_at(file.fd(), scratch, std::min(bytes - done, sizeof scratch), offset + done);
      if (got < 0) return Error::from_errno(errno, "pread() failed");
      if (got == 0) return truncated();
      done += static_cast<size_t>(got);
    }
    return Unit();
  }
};

Task<Result<Unit>> warm(BlockingPool& pool, FileRef file, uint64_t offset, size_t bytes) {
  WarmPiece what{std::move(file), offset, bytes};
  auto reading = blocking(pool, std::move(what));
  auto read = co_await reading;
  if (!read) co_return read.error();
  co_return Unit();
}
}  // namespace

Task<Result<Unit>> WarmFileBody::ready() {
  auto read = co_await warm(pool_, file_, offset_, piece_bytes());
  if (!read) error_ = read.error();
  else is_warm_ = true;
  co_return read;
}

Body* WarmFileBody::part(Arena& arena, uint64_t offset, uint64_t bytes) {
  if (offset > left_ || bytes > left_ - offset) return nullptr;
  return arena.make<WarmFileBody>(pool_, file_, offset_ + offset, bytes);
}

}  // namespace fairlead::http
