// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What `access_log`, `log_format` and `open_log_file_cache` say, for http and stream alike. Everything lies in the generation's arena.
#pragma once

#include <vector>

#include "core/base/log_sinks.h"
#include "core/base/syslog.h"
#include "event/file/log_sink.h"
#include "modules/access_log/format.h"

namespace fairlead::access_log {

// A file that lines go to; all settings of one path share it.
struct FileTarget {
  FileSink* opened = nullptr;  // the master's, for its descriptor
  LogFileRules rules;
  uint32_t number = 0;  // in AccessLogConf::files of the main part
};

// One `access_log` line: exactly one of file, path, syslog is set.
struct AccessLog {
  const LogFormat* format = nullptr;
  FileTarget* file = nullptr;
  Template path;  // with variables
  SyslogSink* syslog = nullptr;
  Template condition;  // `if=`; not set: always
};

struct LogCache {
  LogFileCacheRules rules;
  uint32_t number = 0;  // from 1; 0 is no cache
};

struct AccessLogConf {
  std::vector<AccessLog> logs;
  bool is_off = false;
  LogCache cache;
  // Of an http or stream block only:
  std::vector<LogFormat*> formats;
  // Of the main part only:
  std::vector<FileTarget*> files;
  uint32_t cache_count = 0;
  std::vector<AccessLog> fallback;  // of http, where no access_log is in force
};

ConfResult<Unit> set_log_format(Line& line, AccessLogConf& own);
ConfResult<Unit> set_access_log(Line& line, AccessLogConf& own);
ConfResult<Unit> set_log_cache(Line& line, AccessLogConf& own);

// The target of `path`, made if new; the reason if its settings contradict an earlier line's.
ConfResult<FileTarget*> shared_target(Generation& generation, AccessLogConf& main, std::string_view path, const LogFileRules& rules);

// The lines in force in a block; http's default if there is none and it is not off.
std::span<const AccessLog> logs_of(const Session& session);

}  // namespace fairlead::access_log
