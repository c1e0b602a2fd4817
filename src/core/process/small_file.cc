// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/format.h"

namespace fairlead {

std::optional<std::string> read_small_file(const std::string& path, size_t bytes_max) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return std::nullopt;
  std::string content;
  char piece[4096];
  ssize_t got = 0;
  while (content.size() < bytes_max && (got = read(file, piece, std::min(sizeof(piece), bytes_max - content.size()))) > 0) {
    content.append(piece, static_cast<size_t>(got));
  }
  int err = errno;
  close(file);
  errno = err;
  if (got < 0) return std::nullopt;
  return content;
}

static std::string fresh_name(const std::string& path) { return format("{}.{}.tmp", path, getpid()); }

static int open_fresh(const std::string& name) { return open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644); }

bool can_replace_file(const std::string& path) {
  std::string fresh = fresh_name(path);
  int file = open_fresh(fresh);
  if (file < 0) return false;
  close(file);
  unlink(fresh.c_str());
  return true;
}

bool replace_file(const std::string& path, std::string_view content) {
  std::string fresh = fresh_name(path);
  int file = open_fresh(fresh);
  if (file < 0) return false;
  ssize_t written = write(file, content.data(), content.size());
  if (written >= 0 && static_cast<size_t>(written) < content.size()) errno = ENOSPC;
  bool whole = written == static_cast<ssize_t>(content.size());
  if (close(file) < 0) whole = false;
  if (whole && rename(fresh.c_str(), path.c_str()) == 0) return true;
  int err = errno;
  unlink(fresh.c_str());
  errno = err;
  return false;
}

std::string_view trim_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

}  // namespace fairlead
