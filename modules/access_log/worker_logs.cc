// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/access_log/worker_logs.h"

#include <fcntl.h>

#include "core/conf/error_log.h"

namespace fairlead::access_log {

// Of the generation's file, which the process opened, for the first time with the rights of the
// master.
static void take_opened(LogFile& file, const FileTarget& target) {
  int fd = target.opened->descriptor() < 0 ? -1 : fcntl(target.opened->descriptor(), F_DUPFD_CLOEXEC, 0);
  if (fd >= 0) file.adopt(fd);
}

WorkerLogs::WorkerLogs(Worker& worker) : worker_(worker), line_(std::make_unique<char[]>(line_max)) {
  const AccessLogConf& main = conf<AccessLogConf>(worker.generation().root());
  LogFileWatcher& watcher = *this;
  for (const FileTarget* target : main.files) {
    auto file = std::make_unique<LogFile>(worker.loop(), target->opened->path(), target->rules, watcher);
    take_opened(*file, *target);
    files_.push_back(std::move(file));
  }
  caches_.resize(main.cache_count + 1);
}

static bool is_true(Session& session, const Template& condition) {
  if (!condition.is_set()) return true;
  std::string_view text = condition.evaluate(session);
  return !text.empty() && text != "0";
}

void WorkerLogs::write(Session& session, std::span<const AccessLog> logs, bool (*may_write)(Session& session)) {
  for (const AccessLog& log : logs) {
    if (!is_true(session, log.condition)) continue;
    std::string_view line = log.format->write(session, line_.get());
    if (log.file) files_[log.file->number]->write(line);
    else if (log.syslog) log.syslog->send(line.substr(0, line.size() - 1));
    else if (may_write(session)) write_to_path(session, log, line);
  }
}

void WorkerLogs::write_to_path(Session& session, const AccessLog& log, std::string_view line) {
  const LogCache& cache = conf<AccessLogConf>(session).cache;
  LogFileWatcher& watcher = *this;
  auto& files = caches_[cache.number];
  if (!files) files = std::make_unique<LogFileCache>(worker_.loop(), cache.rules, watcher);
  std::string_view path = session.generation().absolute_path_in(log.path.evaluate(session), session.arena());
  auto written = files->write(path, line);
  if (!written) session.logger.crit(Errno{written.error().sys}, "open() \"{}\" failed", path);
}

void WorkerLogs::reopen() {
  const AccessLogConf& main = conf<AccessLogConf>(worker_.generation().root());
  for (size_t i = 0; i < files_.size(); ++i) take_opened(*files_[i], *main.files[i]);
  for (auto& cache : caches_)
    if (cache) cache->clear();
}

void WorkerLogs::flush() {
  for (auto& file : files_) file->flush();
}

void WorkerLogs::log_write_failed(const std::string& path, int sys, uint64_t dropped) {
  Logger logger(*conf<ErrorLogConf>(worker_.generation().root()).log);
  if (sys) logger.alert(Errno{sys}, "write() to \"{}\" failed, {} lines or buffers dropped", path, dropped);
  else logger.alert("write() to \"{}\" was incomplete, {} lines or buffers dropped", path, dropped);
}

}  // namespace fairlead::access_log
