// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// OpenFileCache: open files, facts about folders and errors by path, so that a file that is asked for often is neither opened nor looked at
// each time. One per `open_file_cache` line and worker; what it holds is bounded by number and by time without use.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/list.h"
#include "event/file/open_file.h"

namespace fairlead {

class OpenFileCache {
 public:
  struct Limits {
    uint64_t files_max = 0;
    uint64_t inactive_ms = 60'000;  // unused for that long it goes
  };
  struct Use {
    uint64_t valid_ms = 60'000;  // an answer that is older is checked against the file system
    uint64_t uses_min = 1;       // fewer: the facts are kept, the file is not kept open
    bool errors = false;         // keep errors, too
    OpenRules rules;
  };
  explicit OpenFileCache(Limits limits) : limits_(limits) {}
  ~OpenFileCache();
  OpenFileCache(const OpenFileCache&) = delete;
  OpenFileCache& operator=(const OpenFileCache&) = delete;

  // As open_file(). `path` is followed by NUL; `now_ms` is monotonic.
  OpenedFile find(std::string_view path, const Use& use, uint64_t now_ms);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry : Link {
    std::string key;
    OpenedFile found;
    bool has_bytes = false;  // it was opened for its bytes: that could fail where looking does not
    uint64_t checked_ms = 0, used_ms = 0, uses = 0;
  };
  static std::string key_of(std::string_view path, const OpenRules& rules);
  bool answers(Entry& entry, const char* path, const Use& use, uint64_t now_ms);
  void drop(Entry& entry);
  void drop_unused(uint64_t now_ms);

  Limits limits_;
  std::unordered_map<std::string_view, std::unique_ptr<Entry>> entries_;  // by the entry's own key
  List<Entry> by_use_;  // the longest unused first
};

}  // namespace fairlead
