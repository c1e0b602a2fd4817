// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ConfInputs: the files that a configuration was read from, whatever came of it, and whether they are still the same. Plain values; whoever
// loads keeps them.
#pragma once

#include <string>
#include <vector>

#include "core/base/file_mark.h"

namespace fairlead {

struct ConfInputs {
  struct File {
    std::string path;
    FileMark mark;  // from before it was read: what changes meanwhile counts as a change
    bool operator==(const File&) const = default;
  };
  struct Pattern {
    std::string path;                  // of an `include` with * ? or [
    std::vector<std::string> matches;  // sorted
    bool operator==(const Pattern&) const = default;
  };
  std::vector<File> files;
  std::vector<Pattern> patterns;

  // A file that is about to be read, or is not there.
  void add_file(const std::string& path);
  void add_pattern(const std::string& path, const std::vector<std::string>& matches);
  // The same names as they are now.
  ConfInputs looked_at_again() const;
  bool operator==(const ConfInputs&) const = default;
};

// The files of a pattern, sorted; false if the folder could not be read.
bool match_files(const std::string& pattern, std::vector<std::string>& paths);

}  // namespace fairlead
