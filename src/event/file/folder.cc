// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/file/folder.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

namespace fairlead {

static Folder& fail(Folder& folder, const char* call, const std::string& path) {
  folder.err = errno;
  folder.call = call;
  folder.path = path;
  return folder;
}

// 0, or the errno of `call`.
static int look_at(const std::string& path, struct stat& facts, const char*& call) {
  call = "stat()";
  if (::stat(path.c_str(), &facts) == 0) return 0;
  if (errno != ENOENT && errno != ELOOP) return errno;
  call = "lstat()";
  return ::lstat(path.c_str(), &facts) == 0 ? 0 : errno;
}

Folder read_folder(const std::string& path, size_t entries_max) {
  struct Close {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  Folder folder;
  std::unique_ptr<DIR, Close> stream(::opendir(path.empty() ? "/" : path.c_str()));
  if (!stream) return fail(folder, "opendir()", path);
  for (;;) {
    errno = 0;
    const dirent* found = ::readdir(stream.get());
    if (!found && errno != 0) return fail(folder, "readdir()", path);
    if (!found) return folder;
    if (found->d_name[0] == '.') continue;
    if (folder.entries.size() == entries_max) {
      folder.is_cut = true;
      return folder;
    }
    FolderEntry entry;
    entry.name = found->d_name;
    std::string whole = path + "/" + entry.name;
    struct stat facts;
    const char* call;
    int err = look_at(whole, facts, call);
    if (err == EACCES) {
      folder.unreadable.push_back(std::move(whole));
      continue;
    }
    if (err == ENOENT) continue;  // it went while the folder was read
    if (err) {
      errno = err;
      return fail(folder, call, whole);
    }
    if (S_ISDIR(facts.st_mode)) entry.kind = FolderEntry::Kind::folder;
    else if (S_ISREG(facts.st_mode)) entry.kind = FolderEntry::Kind::file;
    entry.size = static_cast<uint64_t>(facts.st_size);
    entry.modified_s = facts.st_mtime;
    folder.entries.push_back(std::move(entry));
  }
}

}  // namespace fairlead
