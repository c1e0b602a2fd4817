// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/log_sinks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/clock.h"

namespace fairlead {
namespace {

class StandardErrorSink final : public LogSink {
 public:
  void write(LogLevel, std::string_view line) override {
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());  // there is nobody left to tell
  }
};

}  // namespace

LogSink& standard_error() {
  static StandardErrorSink* sink = new StandardErrorSink;  // never destroyed, like default_log()
  return *sink;
}

FileSink::~FileSink() {
  if (descriptor_ >= 0) close(descriptor_);
}

ConfResult<> FileSink::open() {
  int fresh = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fresh < 0) {
    int err = errno;
    char buffer[128];
    return format("open() \"{}\" failed ({}: {})", path_, err, strerror_r(err, buffer, sizeof(buffer)));
  }
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = fresh;
  disk_full_until_ms_ = 0;
  return Unit();
}

void FileSink::write(LogLevel, std::string_view line) {
  if (descriptor_ < 0 || clock().now_ms() < disk_full_until_ms_) return;
  if (::write(descriptor_, line.data(), line.size()) < 0 && errno == ENOSPC) disk_full_until_ms_ = clock().now_ms() + 1000;
}

void MemorySink::write(LogLevel, std::string_view line) {
  if (ring_.empty()) return;
  if (line.size() > ring_.size()) line.remove_prefix(line.size() - ring_.size());
  size_t at = written_ % ring_.size();
  size_t first = std::min(line.size(), ring_.size() - at);
  memcpy(ring_.data() + at, line.data(), first);
  memcpy(ring_.data(), line.data() + first, line.size() - first);
  written_ += line.size();
}

std::string MemorySink::text() const {
  if (written_ <= ring_.size()) return ring_.substr(0, written_);
  size_t at = written_ % ring_.size();
  std::string all = ring_.substr(at) + ring_.substr(0, at);
  size_t first_end = all.find('\n');  // the oldest line has lost its front
  return first_end == std::string::npos ? all : all.substr(first_end + 1);
}

}  // namespace fairlead
