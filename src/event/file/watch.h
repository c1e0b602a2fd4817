// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// FileWatch: tells when files may have changed, by the system's notices where there are any (inotify) and by looking now and then
// everywhere. It follows what Kubernetes does: a name is a link into a folder that is itself swapped by renaming a link. What changed is
// for FileMark to say. Of one task.
#pragma once

#include <string>
#include <vector>

#include "core/base/file_mark.h"
#include "event/loop/loop.h"
#include "event/loop/task.h"

namespace fairlead {

class FileWatch {
 public:
  explicit FileWatch(Loop& loop) : loop_(loop) {}
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // Forgets what was watched; watches the folders of `paths` and of what they lead to.
  void watch(const std::vector<std::string>& paths);
  // Until something in one of the folders has changed and nothing more does for 200 ms (but at most 2 s), or the time to look anyway has
  // come.
  Task<Unit> changed();

 private:
  void add_folder(const std::string& path);
  void drain();

  Loop& loop_;
  Watch* notices_ = nullptr;  // nullptr: the system gives none
  std::vector<std::string> folders_;
};

}  // namespace fairlead
