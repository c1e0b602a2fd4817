// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// SpoolFile: one temporary file that takes bytes at its end and gives ranges of itself: bodies that outgrow memory.
// Every call that may wait
// for the disk goes through a BlockingPool. What a body is and when it is spooled is not decided here (http/request/spool.h). Owned by the
// spool that fills it; its descriptor lives on in the FileRefs that were handed out.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "event/file/blocking.h"
#include "event/file/ref.h"
#include "event/loop/task.h"

namespace fairlead {

// `client_body_temp_path` and the like: a directory, and how many of the number's last digits name each level of directories below it
// (0: no such level).
struct SpoolPath {
  std::string directory;
  unsigned char level_digits[3] = {0, 0, 0};
};

// The path of file `number`: ten digits, below directories of its last digits: levels 1 and 2 put 0000012345 into DIRECTORY/5/34.
std::string spool_file_path(const SpoolPath& path, uint32_t number);

enum class SpoolKeep : uint8_t {
  none,         // without a name from the start: gone with its last descriptor, whatever becomes of the process
  until_closed, // has a name as long as the SpoolFile lives (client_body_in_file_only clean)
  always,       // stays (client_body_in_file_only on)
};

// Where a file that is whole shall be, for everybody to see.
struct FilePlace {
  std::string path;           // absolute; folders that are missing are made, searchable for whom `mode` lets read
  uint32_t mode = 0600;       // permission bits
  int64_t modified_s = -1;    // its modification time, seconds since 1970; -1: now
};

// An open file that loses its name with this object, unless its taker clears `unlink_at_end`.
struct OpenedSpool {
  OpenedSpool(FileRef f, std::string n, bool unlink_later) : file(std::move(f)), name(std::move(n)), unlink_at_end(unlink_later) {}
  OpenedSpool(OpenedSpool&& other) noexcept
      : file(std::move(other.file)), name(std::move(other.name)), unlink_at_end(std::exchange(other.unlink_at_end, false)) {}
  ~OpenedSpool();
  FileRef file;
  std::string name;
  bool unlink_at_end;
};

// An empty one, made at once, for whoever cannot wait for a file thread.
Result<OpenedSpool> open_spool_now(const SpoolPath& path);

class SpoolFile {
 public:
  // `pool` and `path` outlive it. Nothing is opened before the first append() or open().
  SpoolFile(BlockingPool& pool, const SpoolPath& path, SpoolKeep keep = SpoolKeep::none) : pool_(pool), path_(path), keep_(keep) {}
  ~SpoolFile();
  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;

  // Makes the file, with mode 0600, and the level directories it needs, with mode 0700. Nothing if it is open.
  Task<Result<Unit>> open();
  // Writes `bytes`, which must outlive the task and stay as they are, behind what was written. All or nothing: after
  // an error size() is what it was
  // and the file may be used on. Errors: exhausted (disk full, no descriptors, no threads), system, canceled. One at a time.
  Task<Result<Unit>> append(const Chain& bytes);

  // Puts the open file, made with SpoolKeep::until_closed, in place of whatever is there: it has that name from now on, and keeps it. On
  // another file system it is copied first. All or nothing. Errors as for append().
  Task<Result<Unit>> move_to(FilePlace place);

  // Bytes written so far.
  uint64_t size() const { return size_; }
  bool is_open() const { return static_cast<bool>(file_); }
  // For chunks: ranges up to size() may be read through it at any time. Empty before the file is open.
  const FileRef& file() const { return file_; }
  // Where it is, for $request_body_file and the log; empty before it was opened. With SpoolKeep::none nothing is there any more.
  const std::string& name() const { return name_; }
  bool has_name() const { return is_open() && keep_ != SpoolKeep::none; }

 private:
  BlockingPool& pool_;
  const SpoolPath& path_;
  SpoolKeep keep_;
  FileRef file_;
  std::string name_;
  uint64_t size_ = 0;
};

// At most `bytes` of `file` at `offset`, in a segment; fewer only at the end of the file, none behind it. For whoever cannot use
// sendfile().
Task<Result<Slice>> read_file(BlockingPool& pool, FileRef file, uint64_t offset, size_t bytes);

}  // namespace fairlead
