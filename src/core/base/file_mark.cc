// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/file_mark.h"

#include <sys/stat.h>

namespace fairlead {

FileMark FileMark::of(const std::string& path) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0) return {};
#if defined(__APPLE__)
  const timespec& changed = found.st_mtimespec;
#else
  const timespec& changed = found.st_mtim;
#endif
  return {static_cast<uint64_t>(found.st_dev), static_cast<uint64_t>(found.st_ino), static_cast<uint64_t>(found.st_size),
          int64_t{changed.tv_sec} * 1'000'000'000 + changed.tv_nsec};
}

std::vector<FileMark> marks_of(const std::vector<std::string>& paths) {
  std::vector<FileMark> marks;
  for (const std::string& path : paths) marks.push_back(FileMark::of(path));
  return marks;
}

}  // namespace fairlead
