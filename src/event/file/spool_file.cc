// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/file/spool_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string_view>

#include "core/base/format.h"

namespace fairlead {

static constexpr size_t number_digits = 10;
// Names that may be taken before we give up: workers and leftovers of other runs share the directory.
static constexpr int name_tries_max = 10'000;

std::string spool_file_path(const SpoolPath& path, uint32_t number) {
  std::string digits = format("{:010}", number);
  std::string full = path.directory;
  size_t left = number_digits;
  for (unsigned count : path.level_digits) {
    if (count == 0) break;
    FL_ASSERT(count <= left);
    left -= count;
    full += '/';
    full.append(digits, left, count);
  }
  full += '/';
  full += digits;
  return full;
}

namespace {

// Each process starts somewhere else, so that workers seldom meet; O_EXCL decides when they do.
uint32_t next_number() {
  static std::atomic<uint32_t> number{static_cast<uint32_t>(getpid()) * 2654435761u};
  return number.fetch_add(1, std::memory_order_relaxed);
}

// All levels between the configured directory, which must exist, and the file.
int make_levels(const std::string& directory, const std::string& file) {
  for (size_t slash = file.find('/', directory.size() + 1); slash != std::string::npos; slash = file.find('/', slash + 1))
    if (mkdir(file.substr(0, slash).c_str(), 0700) < 0 && errno != EEXIST) return errno;
  return 0;
}

// A call for a file thread: it owns all it reads. It may be orphaned: then the file goes with what it gave.
struct OpenSpool {
  SpoolPath path;
  bool nameless;

  Result<OpenedSpool> operator()() const {
    for (int i = 0; i < name_tries_max; ++i) {
      std::string name = spool_file_path(path, next_number());
      int fd = try_open(name);
      if (fd >= 0) {
        if (nameless) unlink(name.c_str());
        return OpenedSpool(FileRef::adopt(fd), std::move(name), !nameless);
      }
      if (errno != EEXIST) return Error::from_errno(errno, "open() of a temporary file failed");
    }
    return Error::from_errno(EEXIST, "no unused name for a temporary file");
  }

  int try_open(const std::string& name) const {
    constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = ::open(name.c_str(), flags, 0600);
    if (fd >= 0 || errno != ENOENT || path.level_digits[0] == 0) return fd;
    errno = make_levels(path.directory, name);
    return errno == 0 ? ::open(name.c_str(), flags, 0600) : -1;
  }
};

// Holds the file and the bytes; both leave on the loop thread.
struct AppendSpool {
  FileRef file;
  Chain bytes;
  uint64_t offset;

  Result<Unit> operator()() {
    constexpr int vectors_max = 64;
    for (size_t first = 0; first < bytes.count();) {
      iovec vectors[vectors_max];
      int count = 0;
      size_t total = 0;
      for (; count < vectors_max && first < bytes.count(); ++count, ++first) {
        vectors[count] = {const_cast<char*>(bytes[first].data), bytes[first].size};
        total += bytes[first].size;
      }
      int err = write_all(vectors, count, total);
      if (err) return Error::from_errno(err, "pwritev() to a temporary file failed");
    }
    return Unit();
  }

  int write_all(iovec* vectors, int count, size_t left) {
    while (left > 0) {
      ssize_t written = pwritev(file.fd(), vectors, count, static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno;
      if (written == 0) return ENOSPC;
      offset += static_cast<uint64_t>(written);
      left -= static_cast<size_t>(written);
      for (size_t skip = static_cast<size_t>(written); skip > 0 && count > 0;) {
        size_t part = std::min(skip, vectors->iov_len);
        vectors->iov_base = static_cast<char*>(vectors->iov_base) + part;
        vectors->iov_len -= part;
        skip -= part;
        if (vectors->iov_len == 0) ++vectors, --count;
      }
    }
    return 0;
  }
};

struct ReadRange {
  FileRef file;
  SegmentRef to;
  uint64_t offset;
  size_t bytes;

  Result<size_t> operator()() {
    size_t got = 0;
    while (got < bytes) {
      ssize_t part = pread(file.fd(), to->bytes() + got, bytes - got, static_cast<off_t>(offset + got));
      if (part < 0 && errno == EINTR) continue;
      if (part < 0) return Error::from_errno(errno, "pread() failed");
      if (part == 0) break;
      got += static_cast<size_t>(part);
    }
    return got;
  }
};

// The folders above `path`, for whom the file's mode lets read.
int make_folders(const std::string& path, uint32_t mode) {
  mode_t folder_mode = mode | 0700 | (mode & 0444) >> 2;
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (mkdir(path.substr(0, slash).c_str(), folder_mode) < 0 && errno != EEXIST) return errno;
  return 0;
}

struct MoveSpool {
  FileRef file;
  std::string from;
  FilePlace to;

  Result<Unit> operator()() const {
    if (int err = dress(file.fd())) return Error::from_errno(err, "changing a temporary file failed");
    int err = rename_to(from);
    if (err == EXDEV) err = copy_across();
    if (err) return Error::from_errno(err, "rename() of a temporary file failed");
    return Unit();
  }

  int rename_to(const std::string& name) const {
    if (rename(name.c_str(), to.path.c_str()) == 0) return 0;
    if (errno != ENOENT) return errno;
    if (int err = make_folders(to.path, to.mode)) return err;
    return rename(name.c_str(), to.path.c_str()) == 0 ? 0 : errno;
  }

  // Mode and time.
  int dress(int fd) const {
    if (fchmod(fd, to.mode) < 0) return errno;
    if (to.modified_s < 0) return 0;
    timespec time{static_cast<time_t>(to.modified_s), 0};
    timespec both[2] = {time, time};
    return futimens(fd, both) < 0 ? errno : 0;
  }

  // By way of a file beside the wanted one, so that nobody ever sees half of it.
  int copy_across() const {
    std::string beside = to.path + format(".{:010}", next_number());
    int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    int err = copy_bytes(fd);
    if (err == 0) err = dress(fd);
    close(fd);
    if (err == 0) err = rename_to(beside);
    unlink(err == 0 ? from.c_str() : beside.c_str());
    return err;
  }

  int copy_bytes(int fd) const {
    char room[16 * 1024];
    off_t offset = 0;
    for (;;) {
      ssize_t got = pread(file.fd(), room, sizeof room, offset);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return got < 0 ? errno : 0;
      offset += got;
      for (ssize_t done = 0; done < got;) {
        ssize_t put = write(fd, room + done, static_cast<size_t>(got - done));
        if (put < 0 && errno != EINTR) return errno;
        if (put > 0) done += put;
      }
    }
  }
};

}  // namespace

OpenedSpool::~OpenedSpool() {
  if (unlink_at_end) unlink(name.c_str());
}

Result<OpenedSpool> open_spool_now(const SpoolPath& path) { return OpenSpool{path, false}(); }

SpoolFile::~SpoolFile() {
  if (file_ && keep_ == SpoolKeep::until_closed) unlink(name_.c_str());
}

Task<Result<Unit>> SpoolFile::open() {
  if (file_) co_return Unit();
  OpenSpool how{path_, keep_ == SpoolKeep::none};
  auto opening = blocking(pool_, std::move(how));
  auto opened = co_await opening;
  if (!opened) co_return opened.error();
  file_ = std::move(opened->file);
  name_ = opened->name;
  opened->unlink_at_end = false;
  co_return Unit();
}

Task<Result<Unit>> SpoolFile::append(const Chain& bytes) {
  uint64_t count = bytes.size();
  auto ready = co_await open();
  if (!ready) co_return ready.error();
  AppendSpool what{file_, bytes.share(), size_};
  auto writing = blocking(pool_, std::move(what));
  auto written = co_await writing;
  if (!written) co_return written.error();
  size_ += count;
  co_return Unit();
}

Task<Result<Unit>> SpoolFile::move_to(FilePlace place) {
  FL_ASSERT(file_ && keep_ == SpoolKeep::until_closed);
  MoveSpool what{file_, name_, std::move(place)};
  auto moving = blocking(pool_, std::move(what));
  auto moved = co_await moving;
  if (!moved) co_return moved.error();
  keep_ = SpoolKeep::always;
  co_return Unit();
}

Task<Result<Slice>> read_file(BlockingPool& pool, FileRef file, uint64_t offset, size_t bytes) {
  SegmentRef segment = SegmentRef::make(bytes);
  ReadRange what{std::move(file), segment, offset, bytes};
  auto reading = blocking(pool, std::move(what));
  auto got = co_await reading;
  if (!got) co_return got.error();
  const char* at = segment->bytes();
  co_return Slice(std::move(segment), at, *got);
}

}  // namespace fairlead
