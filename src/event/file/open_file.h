// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// open_file(): a path becomes an open file or facts about it, with as much trust in symbolic links as is asked for. Plain calls; what
// remembers the answers is the OpenFileCache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "event/file/ref.h"

namespace fairlead {

enum class Symlinks : uint8_t {
  allowed,
  refused,      // in any part of the path: ELOOP
  if_not_owner, // refused unless the link and what it points to have one owner
};

struct OpenRules {
  Symlinks symlinks = Symlinks::allowed;
  size_t trusted_bytes = 0;  // of the path: links in this first part are not looked at
  uint64_t direct_bytes = UINT64_MAX;  // files from this size on are opened past the page cache (O_DIRECT)
  bool wants_bytes = true;   // false: the facts suffice, nothing stays open
};

struct FileFacts {
  bool is_file = false;
  bool is_folder = false;
  bool is_executable = false;  // by its owner
  uint64_t size = 0;
  int64_t modified_s = 0;  // since 1970
  uint64_t inode = 0, device = 0;
};

struct OpenedFile {
  int err = 0;               // errno; 0: it is there
  const char* call = "";     // that failed: "open()", "stat()", ...
  FileFacts facts;
  FileRef file;              // of a regular file whose bytes are wanted
  bool is_direct = false;    // reads must be aligned
  int direct_err = 0;        // it should be and is not: the file system does not know it
};

// `path` ends in NUL; a relative one starts from the working folder. Never waits for a FIFO.
OpenedFile open_file(const char* path, const OpenRules& rules);

}  // namespace fairlead
