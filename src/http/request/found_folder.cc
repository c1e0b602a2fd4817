// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/found_folder.h"

#include <cerrno>

#include "event/file/blocking.h"
#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/request/file_path.h"

namespace fairlead::http {

// What a file thread does; it owns its texts.
struct ReadFolder {
  std::string path;
  size_t entries_max;
  Folder operator()() const { return read_folder(path, entries_max); }
};

static Verdict refuse(Request& request, const Folder& folder) {
  int err = folder.err;
  if (err == ENOENT || err == ENOTDIR || err == ENAMETOOLONG) {
    if (conf<CoreConf>(request).log_not_found) request.logger.error(Errno{err}, "{} \"{}\" failed", folder.call, folder.path);
    return Verdict::status(404);
  }
  if (err == EACCES) {
    request.logger.error(Errno{err}, "{} \"{}\" failed", folder.call, folder.path);
    return Verdict::status(403);
  }
  request.logger.crit(Errno{err}, "{} \"{}\" failed", folder.call, folder.path);
  return Verdict::status(500);
}

Task<Verdict> read_folder_of(Request& request, size_t entries_max, Folder& folder) {
  unsigned refusal = 0;
  std::string path(map_path(request, request.uri, &refusal));
  if (path.empty()) co_return Verdict::status(refusal);
  while (path.ends_with('/')) path.pop_back();
  auto reading = blocking(request.worker().files(), ReadFolder{std::move(path), entries_max});
  auto read = co_await reading;
  if (!read) {
    request.logger.error("the folder of \"{}\" could not be read: {}", request.uri, read.error().what);
    co_return Verdict::status(503);
  }
  folder = std::move(*read);
  if (folder.err) co_return refuse(request, folder);
  for (const std::string& name : folder.unreadable) request.logger.crit(Errno{EACCES}, "stat() \"{}\" failed", name);
  co_return Verdict::next();
}

}  // namespace fairlead::http
