// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// FileMark: what a path leads to, as a value that differs when the file does. For whoever has to notice changes; when to look is theirs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fairlead {

// What a path led to when it was looked at; another value: another file, or other contents. Links are followed.
struct FileMark {
  uint64_t device = 0, inode = 0, bytes = 0;
  int64_t changed_ns = 0;  // 0 with inode 0: there was no such file
  static FileMark of(const std::string& path);
  bool operator==(const FileMark&) const = default;
};

std::vector<FileMark> marks_of(const std::vector<std::string>& paths);

}  // namespace fairlead
