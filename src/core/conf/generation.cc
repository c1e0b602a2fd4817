// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/generation.h"

#include "core/base/format.h"
#include "core/conf/error_log.h"

namespace fairlead {

static constexpr size_t arena_block_bytes = 16 * 1024;

static std::string folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

Generation::Generation(const LoadRequest& request) : arena_(Arena::open(arena_block_bytes)), request_(request) {
  reader_ = std::make_unique<Reader>(*this, folder_of(request.conf_path));
}

Generation::~Generation() = default;

ConfResult<std::unique_ptr<Generation>> Generation::load(const LoadRequest& request, Generation* previous, ConfInputs* inputs) {
  std::unique_ptr<Generation> made(new Generation(request));
  made->number_ = previous ? previous->number_ + 1 : 1;
  made->previous_ = previous;
  auto read = made->read(previous);
  made->previous_ = nullptr;
  if (inputs) *inputs = made->reader_->inputs();
  if (read) return made;
  std::string reason = std::move(read.error());
  while (!reason.empty() && reason.back() == '\n') reason.pop_back();
  return reason;
}

ConfResult<Unit> Generation::read(Generation*) {
  root_ = arena_->make<Block>(nullptr, uint32_t{in_main}, Place{arena_->copy(request_.conf_path), 0}, *arena_);
  if (!request_.global_directives.empty()) FL_TRY(reader_->read_text("command line", request_.global_directives, *root_));
  FL_TRY(reader_->read_file(request_.conf_path, *root_));
  // Without a line in the main part, the compiled (or -e) file takes errors.
  ErrorLogConf& main_log = own_conf<ErrorLogConf>(*root_);
  if (!main_log.log) {
    main_log.log = arena_->make<Log>();
    main_log.log->add(log_file(request_.error_log_path), LogLevel::error);
  }
  FL_TRY(root_->resolve());
  for (const Module* module : modules().all())
    if (module->generation) FL_TRY(module->generation(*this));
  FL_TRY(http_variables_.finish());
  for (uint32_t i = 0; i < http_variables_.size(); ++i) {
    const std::string& name = http_variables_.entry(i).name;
    if (name.starts_with("upstream_http_") || name.starts_with("upstream_cookie_")) shows_upstream_fields = true;
  }
  return stream_variables_.finish();
}

ConfResult<Unit> Generation::make_ready() {
  for (const Module* module : modules().all())
    if (module->ready) FL_TRY(module->ready(*this));
  return Unit();
}

std::string_view Generation::absolute_path_in(std::string_view path, Arena& arena) const {
  if (!path.empty() && path[0] == '/') return arena.copy_z(path);
  return arena.copy_z(request_.prefix + std::string(path));
}

std::string_view Generation::absolute_conf_path_in(std::string_view path, Arena& arena) const {
  return arena.copy_z(reader_->absolute(path));
}

void Generation::need_folder(std::string_view path) {
  for (std::string_view known : folders_)
    if (known == path) return;
  folders_.push_back(path);
}

LogSink& Generation::log_file(std::string_view path) {
  if (path == "stderr") return standard_error();
  return file_sink(path);
}

FileSink& Generation::file_sink(std::string_view path) {
  std::string_view full = absolute_path(path);
  for (FileSink* file : log_files_)
    if (file->path() == full) return *file;
  auto made = std::make_unique<FileSink>(std::string(full));
  FileSink& file = *made;
  log_files_.push_back(&file);
  sinks_.push_back(std::move(made));
  return file;
}

LogSink& Generation::keep_sink(std::unique_ptr<LogSink> sink) {
  sinks_.push_back(std::move(sink));
  return *sinks_.back();
}

ConfResult<Unit> Generation::open_logs() {
  ConfResult<Unit> first = Unit();
  for (FileSink* file : log_files_) {
    auto opened = file->open();
    if (!opened && first) first = std::move(opened.error());
  }
  return first;
}

void Generation::reopen_logs() {
  for (FileSink* file : log_files_) {
    auto opened = file->open();
    if (!opened) Logger().emerg("{}", opened.error());
  }
}

void Generation::warn(std::string_view text) { Logger().warn("{}", text); }

}  // namespace fairlead
