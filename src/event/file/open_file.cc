// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/file/open_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

namespace fairlead {
namespace {

#if defined(O_PATH)
constexpr int search_flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
#else
constexpr int search_flags = O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC;
#endif
constexpr int open_flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;

FileFacts facts_of(const struct stat& from) {
  FileFacts facts;
  facts.is_file = S_ISREG(from.st_mode);
  facts.is_folder = S_ISDIR(from.st_mode);
  facts.is_executable = (from.st_mode & S_IXUSR) != 0;
  facts.size = static_cast<uint64_t>(from.st_size);
  facts.modified_s = from.st_mtime;
  facts.inode = from.st_ino;
  facts.device = from.st_dev;
  return facts;
}

OpenedFile failure(int err, const char* call) {
  OpenedFile answer;
  answer.err = err;
  answer.call = call;
  return answer;
}

// A descriptor that closes itself.
class Folder {
 public:
  explicit Folder(int fd) : fd_(fd) {}
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { reset(-1); }
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Opens `name` in `folder` with the rule for links. -1: errno says why, ELOOP for a link that is not trusted.
int open_part(int folder, const char* name, int flags, Symlinks rule) {
  if (rule == Symlinks::refused) {
    int fd = ::openat(folder, name, flags | O_NOFOLLOW);
    struct stat link;
    // A link in the middle says ENOTDIR for its own sake.
    bool is_seen = fd < 0 && errno == ENOTDIR && ::fstatat(folder, name, &link, AT_SYMLINK_NOFOLLOW) == 0;
    if (is_seen) errno = S_ISLNK(link.st_mode) ? ELOOP : ENOTDIR;
    return fd;
  }
  int fd = ::openat(folder, name, flags);
  if (fd < 0) return fd;
  struct stat link, target;
  int err = 0;
  if (::fstatat(folder, name, &link, AT_SYMLINK_NOFOLLOW) < 0 || ::fstat(fd, &target) < 0) err = errno;
  else if (S_ISLNK(link.st_mode) && link.st_uid != target.st_uid) err = ELOOP;
  if (err == 0) return fd;
  ::close(fd);
  errno = err;
  return -1;
}

// Walks to the folder of the last part of `path`; that part is left in `name`. False: errno says why.
bool walk(std::string_view path, const OpenRules& rules, Folder& folder, std::string& name) {
  size_t at = rules.trusted_bytes;
  while (at > 0 && at < path.size() && path[at] != '/' && path[at - 1] != '/') --at;  // whole parts only
  std::string trusted(at > 0 ? path.substr(0, at) : path.starts_with('/') ? "/" : ".");
  folder.reset(::open(trusted.c_str(), search_flags));
  if (folder.fd() < 0) return false;
  for (;;) {
    while (at < path.size() && path[at] == '/') ++at;
    size_t end = path.find('/', at);
    if (end == std::string_view::npos || path.find_first_not_of('/', end) == std::string_view::npos) break;
    std::string part(path.substr(at, end - at));
    int next = open_part(folder.fd(), part.c_str(), search_flags, rules.symlinks);
    if (next < 0) return false;
    folder.reset(next);
    at = end;
  }
  name = path.substr(at);
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  if (name.empty()) name = ".";
  return true;
}

int open_walking(const char* path, const OpenRules& rules) {
  Folder folder(-1);
  std::string name;
  if (*path == '\0') {
    errno = ENOENT;
    return -1;
  }
  if (!walk(path, rules, folder, name)) return -1;
  return open_part(folder.fd(), name.c_str(), open_flags, rules.symlinks);
}

}  // namespace

static void make_direct(OpenedFile& file) {
#if defined(O_DIRECT)
  int flags = ::fcntl(file.file.fd(), F_GETFL);
  file.is_direct = flags >= 0 && ::fcntl(file.file.fd(), F_SETFL, flags | O_DIRECT) == 0;
#else
  errno = ENOTSUP;
#endif
  if (!file.is_direct) file.direct_err = errno;
}

OpenedFile open_file(const char* path, const OpenRules& rules) {
  struct stat facts;
  if (rules.symlinks == Symlinks::allowed && !rules.wants_bytes) {
    if (::stat(path, &facts) < 0) return failure(errno, "stat()");
    OpenedFile answer;
    answer.facts = facts_of(facts);
    return answer;
  }
  // O_NONBLOCK: a FIFO among the files must not hold the worker.
  int fd = rules.symlinks == Symlinks::allowed ? ::open(path, open_flags) : open_walking(path, rules);
  if (fd < 0) return failure(errno, "open()");
  FileRef file = FileRef::adopt(fd);
  if (::fstat(fd, &facts) < 0) return failure(errno, "fstat()");
  OpenedFile answer;
  answer.facts = facts_of(facts);
  if (!answer.facts.is_file || !rules.wants_bytes) return answer;
  answer.file = std::move(file);
  if (answer.facts.size >= rules.direct_bytes) make_direct(answer);
  return answer;
}

}  // namespace fairlead
