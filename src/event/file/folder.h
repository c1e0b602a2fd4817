// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// read_folder(): what lies in a folder. Waits for the disk: to be called on a file thread (blocking.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fairlead {

struct FolderEntry {
  enum class Kind : uint8_t { file, folder, other };
  std::string name;
  Kind kind = Kind::other;
  uint64_t size = 0;
  int64_t modified_s = 0;  // since 1970
};

struct Folder {
  int err = 0;             // errno; 0: it was read
  const char* call = "";   // that failed
  std::string path;        // that it failed on
  std::vector<FolderEntry> entries;  // in the order of the file system; names that begin with a dot are left out
  std::vector<std::string> unreadable;  // entries that may not be looked at (EACCES); left out
  bool is_cut = false;     // it has more than `entries_max`
};

// `path` without a slash at its end. Links are followed; one that leads nowhere is an entry of its own.
Folder read_folder(const std::string& path, size_t entries_max);

}  // namespace fairlead
