// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
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

static bool is_link(const std::string& path) {
  struct stat now;
  return lstat(path.c_str(), &now) == 0 && S_ISLNK(now.st_mode);
}

// Without O_TRUNC: on a full disk the room that a file has is worth keeping.
static int open_in_place(const std::string& path) {
  return open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (is_link(path) ? O_CREAT : 0), 0644);
}

static bool write_whole(int file, std::string_view content) {
  ssize_t written = pwrite(file, content.data(), content.size(), 0);
  if (written >= 0 && static_cast<size_t>(written) < content.size()) errno = ENOSPC;
  bool whole = written == static_cast<ssize_t>(content.size()) && ftruncate(file, written) == 0;
  return close(file) == 0 && whole;
}

static bool replace_whole(const std::string& path, std::string_view content) {
  std::string fresh = fresh_name(path);
  int file = open_fresh(fresh);
  if (file < 0) return false;
  if (write_whole(file, content) && rename(fresh.c_str(), path.c_str()) == 0) return true;
  int err = errno;
  unlink(fresh.c_str());
  errno = err;
  return false;
}

bool can_replace_file(const std::string& path) {
  struct stat now;
  if (stat(path.c_str(), &now) == 0 && S_ISDIR(now.st_mode)) {
    errno = EISDIR;
    return false;
  }
  std::string fresh = fresh_name(path);
  int file = is_link(path) ? -1 : open_fresh(fresh);
  if (file >= 0) unlink(fresh.c_str());
  int err = errno;
  if (file < 0) file = open_in_place(path);
  if (file >= 0) close(file);
  else if (!is_link(path)) errno = err;
  return file >= 0;
}

bool replace_file(const std::string& path, std::string_view content) {
  if (!is_link(path) && replace_whole(path, content)) return true;
  int err = errno;
  int file = open_in_place(path);
  if (file >= 0) return write_whole(file, content);
  if (!is_link(path)) errno = err;
  return false;
}

bool remove_or_empty_file(const std::string& path) {
  if (!is_link(path) && unlink(path.c_str()) == 0) return true;
  int err = errno;
  if (truncate(path.c_str(), 0) == 0) return true;
  if (!is_link(path)) errno = err;
  return false;
}

std::string_view trim_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

}  // namespace fairlead
