// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// FileRef: an open file that several look at (chunks of a body, a cache, a call of a file thread). Closed with the
// last of them. References are
// counted by the event-loop thread only: a file thread may use fd() of one that its callable holds, not copy it.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <utility>

namespace fairlead {

class FileRef {
 public:
  FileRef() = default;
  // Adopts `fd`.
  static FileRef adopt(int fd) { return FileRef(new Shared{fd, 1}); }
  FileRef(const FileRef& other) : shared_(other.shared_) { if (shared_) ++shared_->references; }
  FileRef(FileRef&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  FileRef& operator=(FileRef other) noexcept { std::swap(shared_, other.shared_); return *this; }
  ~FileRef() {
    if (shared_ && --shared_->references == 0) {
      ::close(shared_->fd);
      delete shared_;
    }
  }
  explicit operator bool() const { return shared_ != nullptr; }
  int fd() const { return shared_->fd; }

 private:
  struct Shared {
    int fd;
    uint32_t references;
  };
  explicit FileRef(Shared* shared) : shared_(shared) {}
  Shared* shared_ = nullptr;
};

}  // namespace fairlead
