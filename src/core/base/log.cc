// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/log.h"

#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/escape.h"
#include "core/base/log_sinks.h"

namespace fairlead {
namespace {

constexpr std::string_view level_names[] = {"", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"};

bool console_copy = false;

// As much of `text` as fits, with its control characters escaped so that it stays one line.
size_t write_as_line(char* to, size_t room, std::string_view text) {
  char* at = to;
  for (char c : text) {
    std::string_view one(&c, 1);
    if (static_cast<size_t>(to + room - at) < escaped_size(Escape::error_log, one)) break;
    at = escape_to(Escape::error_log, at, one);
  }
  return static_cast<size_t>(at - to);
}

}  // namespace

std::string_view log_level_name(LogLevel level) { return level_names[static_cast<size_t>(level)]; }

std::optional<LogLevel> parse_log_level(std::string_view name) {
  const auto* found = std::find(std::begin(level_names) + 1, std::end(level_names), name);
  if (found == std::end(level_names)) return std::nullopt;
  return static_cast<LogLevel>(found - std::begin(level_names));
}

void LogText::append(std::string_view text) {
  size_t bytes = std::min(text.size(), static_cast<size_t>(end_ - at_));
  if (bytes > 0) memcpy(at_, text.data(), bytes);
  at_ += bytes;
}

void LogText::append_formatted(fmt::string_view text, fmt::format_args args) {
  size_t room = static_cast<size_t>(end_ - at_);
  at_ += std::min(fmt::vformat_to_n(at_, room, text, args).size, room);
}

void Log::add(LogSink& sink, LogLevel level) {
  targets_.push_back({&sink, level});
  level_ = std::max(level_, level);
}

bool Log::writes_to(const LogSink& sink) const {
  return std::any_of(targets_.begin(), targets_.end(), [&](const Target& target) { return target.sink == &sink; });
}

void Log::clear() {
  targets_.clear();
  level_ = LogLevel{0};
}

void Log::write(LogLevel level, std::string_view line, bool forced) const {
  bool on_console = false;
  for (const Target& target : targets_) {
    if (level > target.level && !forced) continue;
    target.sink->write(level, line);
    on_console = on_console || target.sink == &standard_error();
  }
  if (!console_copy || on_console || level > LogLevel::warn) return;
  size_t behind_ids = line.find(": ");  // the time has colons, but no blank behind one
  if (behind_ids == std::string_view::npos) return;
  char copy[log_line_max];
  LogText text(copy, sizeof(copy) - 1);
  text.append_format("fairlead: [{}] {}", log_level_name(level), line.substr(behind_ids + 2, line.size() - behind_ids - 3));
  copy[text.view().size()] = '\n';
  standard_error().write(level, {copy, text.view().size() + 1});
}

Log& default_log() {
  static Log* log = [] {  // never destroyed: what is destroyed at exit may log
    Log* made = new Log;
    made->add(standard_error(), LogLevel::notice);
    return made;
  }();
  return *log;
}

void copy_log_to_console(bool on) { console_copy = on; }

Logger Logger::with(const Log& log) const {
  Logger other = *this;
  other.log_ = &log;
  return other;
}

Logger Logger::with(const LogContext* context) const {
  Logger other = *this;
  other.context_ = context;
  return other;
}

void Logger::write_formatted(LogLevel level, Errno err, fmt::string_view format, fmt::format_args args) const {
  char message[log_line_max];
  LogText text(message, sizeof(message));
  text.append_formatted(format, args);
  if (err.number != 0) {
    char buffer[128];
    text.append_format(" ({}: {})", err.number, strerror_r(err.number, buffer, sizeof(buffer)));
  }
  if (context_ && level != LogLevel::debug) context_->append(text);

  char line[log_line_max];
  LogText head(line, sizeof(line) - 1);
  head.append_format("{} [{}] {}#{}: ", clock().error_log_time(), log_level_name(level), getpid(), gettid());
  if (connection_ != 0) head.append_format("*{} ", connection_);
  size_t size = head.view().size();
  size += write_as_line(line + size, sizeof(line) - 1 - size, text.view());
  line[size++] = '\n';
  log_->write(level, {line, size}, forced_);
}

}  // namespace fairlead
