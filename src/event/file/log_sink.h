// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// LogFile: an access log in a file: one write() per line, or lines gathered in a buffer, compressed if wanted.
// LogFileCache: the same for paths
// that differ per request. Lines come ready-made; what is in them is the access_log module's. The error log is
// core/base/log_sinks.h. Owned by the
// worker, which flushes at exit and reopens on its signal. Loop thread only: writes go to the page cache.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/list.h"
#include "event/loop/loop.h"

namespace fairlead {

// The parameters of an `access_log` line.
struct LogFileRules {
  size_t buffer_bytes = 0;  // 0: unbuffered
  uint64_t flush_ms = 0;    // the oldest line in the buffer waits no longer; 0: as long as it fits
  int gzip_level = 0;       // 1 to 9: each flush is a gzip member of its own; needs a buffer
};

// Told of what the error log should say, at most once a minute and file: `dropped` lines or buffers since the last
// time, and the last error (sys 0: a
// write was incomplete).
class LogFileWatcher {
 public:
  virtual void log_write_failed(const std::string& path, int sys, uint64_t dropped) = 0;

 protected:
  ~LogFileWatcher() = default;
};

// Appends whole texts to one descriptor, with nginx's manners when the disk is full: nothing is tried again within the same second, what
// cannot be written is dropped and counted, complaints come once a minute.
class LogWriter {
 public:
  explicit LogWriter(LogFileWatcher& watcher) : watcher_(watcher) {}
  ~LogWriter() { close(); }
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  // Opens `path` for appending, making it with mode 0644; what was open before stays if that fails.
  Result<Unit> open(const std::string& path);
  // Takes an open descriptor instead (one that the master opened).
  void adopt(int fd);
  void close();
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  void write(const std::string& path, std::string_view text);
  uint64_t dropped_count() const { return dropped_; }

 private:
  void complain(const std::string& path, int sys);
  LogFileWatcher& watcher_;
  int fd_ = -1;
  uint64_t dropped_ = 0, reported_ = 0;
  int64_t disk_full_second_ = INT64_MIN, complained_second_ = INT64_MIN;
};

class LogFile {
 public:
  LogFile(Loop& loop, std::string path, const LogFileRules& rules, LogFileWatcher& watcher);
  // Flushes.
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // Before the first line and after the file was renamed: opens it, or takes what was opened already. What is buffered goes to the one
  // before, which stays in use if that fails.
  Result<Unit> open();
  void adopt(int fd);
  // A line with its line end. One that is larger than the buffer goes straight to the file, behind what is buffered.
  void write(std::string_view line);
  void flush();

  const std::string& path() const { return path_; }
  size_t buffered_bytes() const { return used_; }
  uint64_t dropped_count() const { return writer_.dropped_count(); }

 private:
  struct FlushTimer : Timer {
    explicit FlushTimer(LogFile* f) : Timer([](Timer& t) { static_cast<FlushTimer&>(t).file->flush(); }), file(f) {}
    LogFile* file;
  };
  void put(std::string_view text);

  Loop& loop_;
  std::string path_;
  LogFileRules rules_;
  LogWriter writer_;
  std::unique_ptr<char[]> buffer_;
  size_t used_ = 0;
  FlushTimer timer_;
};

// open_log_file_cache. Without a cache (`files_max` 0) each line opens and closes its file.
struct LogFileCacheRules {
  size_t files_max = 0;
  uint64_t inactive_ms = 10'000;  // unused that long, or used less than `uses_min` times in it: closed
  uint32_t uses_min = 1;
  uint64_t valid_ms = 60'000;     // after that it is checked whether the path still names the open file
};

class LogFileCache {
 public:
  LogFileCache(Loop& loop, const LogFileCacheRules& rules, LogFileWatcher& watcher)
      : loop_(loop), rules_(rules), watcher_(watcher), uncached_(watcher) {}
  ~LogFileCache() { clear(); }
  LogFileCache(const LogFileCache&) = delete;
  LogFileCache& operator=(const LogFileCache&) = delete;

  // Appends `line` to the file at `path`, which is made if it does not exist.
  Result<Unit> write(std::string_view path, std::string_view line);
  // Closes all (reopen).
  void clear();
  size_t open_count() const { return entries_.size(); }

 private:
  struct Entry : Link {
    explicit Entry(LogFileWatcher& watcher) : writer(watcher) {}
    std::string path;
    LogWriter writer;
    uint64_t checked_ms = 0, used_ms = 0, counted_from_ms = 0;
    uint32_t uses = 0;
  };
  Entry* find(const std::string& path);
  void close_inactive();
  void remove(Entry* entry);
  static bool is_same_file(const Entry& entry);

  Loop& loop_;
  LogFileCacheRules rules_;
  LogFileWatcher& watcher_;
  LogWriter uncached_;
  std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;
  List<Entry> used_;  // the longest unused first
};

}  // namespace fairlead
