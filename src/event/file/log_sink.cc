// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/file/log_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>

#include "core/base/clock.h"

namespace fairlead {

// Between two complaints about one file.
static constexpr int64_t complaint_seconds = 60;
// An incomplete write is continued this often; then the rest is dropped.
static constexpr int rest_tries_max = 3;

Result<Unit> LogWriter::open(const std::string& path) {
  int fresh = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fresh < 0) return Error::from_errno(errno, "open() of a log failed");
  adopt(fresh);
  return Unit();
}

void LogWriter::adopt(int fd) {
  close();
  fd_ = fd;
  disk_full_second_ = INT64_MIN;
}

void LogWriter::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void LogWriter::write(const std::string& path, std::string_view text) {
  if (text.empty()) return;
  if (fd_ < 0 || disk_full_second_ == clock().seconds()) {
    ++dropped_;
    return;
  }
  int sys = 0;
  for (int tries = 0; tries < rest_tries_max && !text.empty();) {
    ssize_t written = ::write(fd_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    ++tries;
    if (written < 0) {
      sys = errno;
      break;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (text.empty()) return;
  ++dropped_;
  if (sys == ENOSPC) disk_full_second_ = clock().seconds();
  complain(path, sys);
}

void LogWriter::complain(const std::string& path, int sys) {
  int64_t now = clock().seconds();
  if (complained_second_ != INT64_MIN && now - complained_second_ < complaint_seconds) return;
  complained_second_ = now;
  watcher_.log_write_failed(path, sys, dropped_ - reported_);
  reported_ = dropped_;
}

LogFile::LogFile(Loop& loop, std::string path, const LogFileRules& rules, LogFileWatcher& watcher)
    : loop_(loop), path_(std::move(path)), rules_(rules), writer_(watcher), timer_(this) {
  FL_ASSERT(rules_.gzip_level == 0 || rules_.buffer_bytes > 0);
}

LogFile::~LogFile() { flush(); }

Result<Unit> LogFile::open() {
  flush();
  return writer_.open(path_);
}

void LogFile::adopt(int fd) {
  flush();
  writer_.adopt(fd);
}

void LogFile::write(std::string_view line) {
  if (rules_.buffer_bytes == 0) return writer_.write(path_, line);
  if (line.size() > rules_.buffer_bytes - used_) flush();
  if (line.size() > rules_.buffer_bytes) return put(line);
  if (!buffer_) buffer_ = std::make_unique<char[]>(rules_.buffer_bytes);
  if (used_ == 0 && rules_.flush_ms) loop_.arm(timer_, rules_.flush_ms);
  std::memcpy(buffer_.get() + used_, line.data(), line.size());
  used_ += line.size();
}

void LogFile::flush() {
  timer_.disarm();
  if (used_ == 0) return;
  put({buffer_.get(), used_});
  used_ = 0;
}

// One gzip member (RFC 1952); members one behind the other are a gzip file. Empty: no memory.
static std::string gzip_member(std::string_view text, int level) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS + 16, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string packed(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  int ended = deflate(&stream, Z_FINISH);
  packed.resize(ended == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return packed;
}

void LogFile::put(std::string_view text) {
  if (rules_.gzip_level == 0) return writer_.write(path_, text);
  std::string packed = gzip_member(text, rules_.gzip_level);
  // Better readable than lost: most readers of .gz files skip what is no member.
  writer_.write(path_, packed.empty() ? text : std::string_view(packed));
}

bool LogFileCache::is_same_file(const Entry& entry) {
  struct stat open_file, named;
  if (fstat(entry.writer.fd(), &open_file) < 0 || stat(entry.path.c_str(), &named) < 0) return false;
  return open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

void LogFileCache::remove(Entry* entry) {
  entry->unlink();
  entries_.erase(std::string(entry->path));
}

// A few at each use, so that nothing has to wake up for it.
void LogFileCache::close_inactive() {
  for (int i = 0; i < 2; ++i) {
    Entry* entry = used_.front();
    if (!entry || loop_.now_ms() - entry->used_ms < rules_.inactive_ms) return;
    remove(entry);
  }
}

LogFileCache::Entry* LogFileCache::find(const std::string& path) {
  auto found = entries_.find(path);
  if (found == entries_.end()) return nullptr;
  Entry* entry = found->second.get();
  uint64_t now = loop_.now_ms();
  if (now - entry->counted_from_ms >= rules_.inactive_ms) {
    bool wanted = entry->uses >= rules_.uses_min;
    entry->counted_from_ms = now;
    entry->uses = 0;
    if (!wanted) return remove(entry), nullptr;
  }
  if (now - entry->checked_ms >= rules_.valid_ms) {
    entry->checked_ms = now;
    if (!is_same_file(*entry)) return remove(entry), nullptr;
  }
  return entry;
}

Result<Unit> LogFileCache::write(std::string_view path, std::string_view line) {
  std::string name(path);
  if (rules_.files_max == 0) {
    auto opened = uncached_.open(name);
    if (opened) uncached_.write(name, line);
    uncached_.close();
    return opened;
  }
  close_inactive();
  Entry* entry = find(name);
  if (!entry) {
    auto made = std::make_unique<Entry>(watcher_);
    made->path = name;
    auto opened = made->writer.open(name);
    if (!opened) return opened;
    made->checked_ms = made->counted_from_ms = loop_.now_ms();
    if (entries_.size() >= rules_.files_max) remove(used_.front());
    entry = made.get();
    entries_.emplace(std::move(name), std::move(made));
  }
  entry->unlink();
  used_.push_back(*entry);
  entry->used_ms = loop_.now_ms();
  ++entry->uses;
  entry->writer.write(entry->path, line);
  return Unit();
}

void LogFileCache::clear() {
  while (Entry* entry = used_.front()) remove(entry);
}

}  // namespace fairlead
