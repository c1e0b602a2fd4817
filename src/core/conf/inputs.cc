// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/inputs.h"

#include <glob.h>

#include <algorithm>

namespace fairlead {

bool match_files(const std::string& pattern, std::vector<std::string>& paths) {
  glob_t matches{};
  int status = glob(pattern.c_str(), 0, nullptr, &matches);
  for (size_t i = 0; status == 0 && i < matches.gl_pathc; ++i) paths.emplace_back(matches.gl_pathv[i]);
  globfree(&matches);
  return status == 0 || status == GLOB_NOMATCH;
}

void ConfInputs::add_file(const std::string& path) {
  bool seen = std::any_of(files.begin(), files.end(), [&](const File& file) { return file.path == path; });
  if (!seen) files.push_back({path, FileMark::of(path)});
}

void ConfInputs::add_pattern(const std::string& path, const std::vector<std::string>& matches) {
  bool seen = std::any_of(patterns.begin(), patterns.end(), [&](const Pattern& pattern) { return pattern.path == path; });
  if (!seen) patterns.push_back({path, matches});
}

ConfInputs ConfInputs::looked_at_again() const {
  ConfInputs now;
  for (const File& file : files) now.files.push_back({file.path, FileMark::of(file.path)});
  for (const Pattern& pattern : patterns) {
    now.patterns.push_back({pattern.path, {}});
    match_files(pattern.path, now.patterns.back().matches);
  }
  return now;
}

}  // namespace fairlead
