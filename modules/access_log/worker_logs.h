// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// WorkerLogs: the open access logs of a worker, and the way of a session's lines into them.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "event/worker.h"
#include "modules/access_log/conf.h"

namespace fairlead::access_log {

class WorkerLogs final : LogFileWatcher {
 public:
  explicit WorkerLogs(Worker& worker);
  WorkerLogs(const WorkerLogs&) = delete;
  WorkerLogs& operator=(const WorkerLogs&) = delete;

  // Writes the session's lines. `may_write`: whether files whose path has variables may be made now; asked only if there are some.
  void write(Session& session, std::span<const AccessLog> logs, bool (*may_write)(Session& session));
  // The generation's files have been opened again, or stay what they were, which has been logged.
  void reopen();
  void flush();

 private:
  void write_to_path(Session& session, const AccessLog& log, std::string_view line);
  void log_write_failed(const std::string& path, int sys, uint64_t dropped) override;

  Worker& worker_;
  std::vector<std::unique_ptr<LogFile>> files_;           // by FileTarget::number
  std::vector<std::unique_ptr<LogFileCache>> caches_;     // by LogCache::number
  std::unique_ptr<char[]> line_;
};

}  // namespace fairlead::access_log
