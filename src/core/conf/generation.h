// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Generation: one loaded configuration: the arena of everything read from it, the tree of blocks, the variable tables, log files and shared
// zones it names. Immutable after commit. Made by the master (or the single process); sessions hold a reference. What engines build from it
// (virtual servers, upstream groups) hangs on its blocks.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/arena.h"
#include "core/base/log.h"
#include "core/base/log_sinks.h"
#include "core/conf/block.h"
#include "core/conf/reader.h"
#include "core/conf/variable.h"
#include "core/shm/metric.h"
#include "core/shm/shm.h"

namespace fairlead {

class SyslogSink;

// What to load, from the command line.
struct LoadRequest {
  std::string prefix;             // with its trailing slash
  std::string conf_path;          // absolute
  std::string global_directives;  // -g
  std::string error_log_path;     // -e, or the compiled default; absolute, or "stderr"
  std::string access_log_path = "logs/access.log";  // where no access_log says otherwise; below the prefix if relative
  bool test_only = false;         // -t: say more, change nothing
};

class Generation {
 public:
  // Reads and checks a whole configuration. The error is what the operator reads, file and line included. Opens nothing but log files.
  // `inputs` (may be null): from which files, whatever comes of it.
  static ConfResult<std::unique_ptr<Generation>> load(const LoadRequest& request, Generation* previous, ConfInputs* inputs = nullptr);
  ~Generation();
  // Tells the modules that zones are attached and log files open (Module::ready).
  ConfResult<Unit> make_ready();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  Arena& arena() { return *arena_; }
  Block& root() { return *root_; }
  VariableTable& variables(uint8_t engine) { return engine == stream_variable ? stream_variables_ : http_variables_; }
  const LoadRequest& request() const { return request_; }
  uint64_t number() const { return number_; }
  Generation* previous() const { return previous_; }  // while loading
  const std::vector<ConfFile>& files() const { return reader_->files(); }
  // "logs/x" below the prefix, "/x" as it is.
  std::string_view absolute_path(std::string_view path) { return absolute_path_in(path, *arena_); }
  // The same at run time; made in `arena`, a zero byte follows it.
  std::string_view absolute_path_in(std::string_view path, Arena& arena) const;
  // The same below the folder of the configuration file (for included data files).
  std::string_view absolute_conf_path(std::string_view path) { return absolute_conf_path_in(path, *arena_); }
  std::string_view absolute_conf_path_in(std::string_view path, Arena& arena) const;

  // A folder for temporary files: made before the workers start, and theirs. `path` lives as long as the generation.
  void need_folder(std::string_view path);
  std::span<const std::string_view> folders() const { return folders_; }

  // The sink of a path, shared by all settings that name it. Opened when the load is complete.
  LogSink& log_file(std::string_view path);
  // The same for what can only be a file.
  FileSink& file_sink(std::string_view path);
  LogSink& keep_sink(std::unique_ptr<LogSink> sink);
  // Opens (again) all error log files; the first error is returned, the rest is tried all the same.
  ConfResult<Unit> open_logs();
  void reopen_logs();
  // For the master: the descriptors whose files go to the workers' user.
  std::span<FileSink* const> log_files() const { return log_files_; }

  // Shared memory by name; attached (taken over from the previous generation) before the workers are forked.
  ZoneSet zones;

  // The metric registry, if the configuration shows it anywhere (wants_metrics): made and declared while loading; whoever attached the
  // zones opens it and tells it the worker's slot.
  std::unique_ptr<Metrics> metrics;
  bool wants_metrics = false;

  // Some variable of the configuration shows the fields of upstream replies as they came (set when variables are complete).
  bool shows_upstream_fields = false;

 private:
  uint64_t references_ = 0;  // here: requests ask for all three

 public:
  // Messages of the load that do not stop it.
  void warn(std::string_view text);

  // Sessions and connections.
  void retain() { ++references_; }
  void release() {
    FL_ASSERT(references_ > 0);
    --references_;
  }
  uint64_t references() const { return references_; }

 private:
  explicit Generation(const LoadRequest& request);
  ConfResult<Unit> read(Generation* previous);

  Arena::Owner arena_;
  LoadRequest request_;
  uint64_t number_ = 0;
  Generation* previous_ = nullptr;
  VariableTable http_variables_{http_variable}, stream_variables_{stream_variable};
  std::unique_ptr<Reader> reader_;
  Block* root_ = nullptr;
  std::vector<std::string_view> folders_;
  std::vector<FileSink*> log_files_;  // owned by sinks_
  std::vector<std::unique_ptr<LogSink>> sinks_;
};

}  // namespace fairlead
