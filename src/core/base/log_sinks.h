// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The plain sinks of the error log: a file, standard error, a ring in memory. Syslog is in syslog.h; buffered access logs are in event.
// A sink is owned by whoever loaded the configuration that names it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/log.h"

namespace fairlead {

// Appends to a file, one write() per line, so that processes may share it.
class FileSink final : public LogSink {
 public:
  explicit FileSink(std::string path) : path_(std::move(path)) {}
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;
  ~FileSink() override;

  // Opens, or opens again after the file was renamed; makes it with mode 0644. On failure the old file stays in use; the reason is
  // `open() "PATH" failed (2: No such file or directory)`.
  ConfResult<> open();
  // For the master, which gives a fresh file to the workers' user. -1 before open().
  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }
  // While the disk is full, lines are tried once per second.
  void write(LogLevel level, std::string_view line) override;

 private:
  std::string path_;
  int descriptor_ = -1;
  uint64_t disk_full_until_ms_ = 0;
};

// The process's standard error. Always the same object.
LogSink& standard_error();

// Keeps the newest lines, for a debugger or a status page.
class MemorySink final : public LogSink {
 public:
  explicit MemorySink(size_t bytes) : ring_(bytes, '\0') {}
  void write(LogLevel level, std::string_view line) override;
  // What is kept, oldest first, beginning with a whole line.
  std::string text() const;

 private:
  std::string ring_;
  uint64_t written_ = 0;  // bytes ever
};

}  // namespace fairlead
