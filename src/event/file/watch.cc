// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/file/watch.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

#if defined(__linux__)
#include <sys/inotify.h>
#endif

namespace fairlead {

// How often to look without a notice: with inotify for file systems that give none (some network mounts), else as the only way.
#if defined(__linux__)
static constexpr uint64_t look_interval_ms = 30'000;
#else
static constexpr uint64_t look_interval_ms = 2'000;
#endif
// A certificate and its key are written one after the other.
static constexpr uint64_t settle_ms = 200;
// Something else in the folder may be written to without an end.
static constexpr uint64_t settle_max_ms = 2'000;

FileWatch::~FileWatch() {
  if (!notices_) return;
  int fd = notices_->fd();
  loop_.unwatch(notices_, true);
  close(fd);
}

static std::string folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

void FileWatch::add_folder([[maybe_unused]] const std::string& path) {
#if defined(__linux__)
  if (!notices_ || std::find(folders_.begin(), folders_.end(), path) != folders_.end()) return;
  constexpr uint32_t events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
  if (inotify_add_watch(notices_->fd(), path.c_str(), events) >= 0) folders_.push_back(path);
#endif
}

void FileWatch::watch(const std::vector<std::string>& paths) {
#if defined(__linux__)
  if (notices_) {
    int fd = notices_->fd();
    loop_.unwatch(notices_, true);
    close(fd);
    notices_ = nullptr;
  }
  folders_.clear();
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return;
  auto watch = loop_.watch(fd, PollMode::level_read);
  if (!watch) {
    close(fd);
    return;
  }
  notices_ = *watch;
#endif
  for (const std::string& path : paths) {
    add_folder(folder_of(path));
    char real[PATH_MAX];
    if (realpath(path.c_str(), real)) add_folder(folder_of(real));
  }
}

void FileWatch::drain() {
  char notices[4096];
  while (read(notices_->fd(), notices, sizeof notices) > 0) continue;
  notices_->set_ready(Direction::read, false);  // level-triggered: it will be said again
}

Task<Unit> FileWatch::changed() {
  if (!notices_) {
    co_await Sleep(loop_, look_interval_ms);
    co_return Unit();
  }
  WaitStatus status = co_await IoWait(*notices_, Direction::read, loop_.deadline(look_interval_ms));
  uint64_t latest_ms = loop_.deadline(settle_max_ms);
  while (status == WaitStatus::ready && loop_.now_ms() < latest_ms) {
    drain();
    status = co_await IoWait(*notices_, Direction::read, std::min(loop_.deadline(settle_ms), latest_ms));
  }
  co_return Unit();
}

}  // namespace fairlead
