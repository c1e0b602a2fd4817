// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The error log: levels, the line format, who gets the line. Where lines go (files, syslog, memory) is in log_sinks.h and syslog.h;
// access logs are a module. A Log does not own its sinks: the loaded configuration does, and it outlives them. Event-loop thread and
// master only.
//
//   2026/11/21 02:13:53 [error] PID#TID: *CONNECTION message (111: Connection refused) while ..., client: ...
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/format.h"

namespace fairlead {

// Smaller is worse. The numbers less one are syslog's severities.
enum class LogLevel : uint8_t { emerg = 1, alert, crit, error, warn, notice, info, debug };
std::string_view log_level_name(LogLevel level);
std::optional<LogLevel> parse_log_level(std::string_view name);

class LogSink {
 public:
  virtual ~LogSink() = default;
  // One whole line with its time, ending in '\n', at most log_line_max bytes. Must not log.
  virtual void write(LogLevel level, std::string_view line) = 0;
};

constexpr size_t log_line_max = 2048;

// Where a line is built; what does not fit is cut.
class LogText {
 public:
  LogText(char* begin, size_t room) : begin_(begin), at_(begin), end_(begin + room) {}
  LogText(const LogText&) = delete;
  LogText& operator=(const LogText&) = delete;
  void append(std::string_view text);
  template <class... Args>
  void append_format(fmt::format_string<Args...> text, Args&&... args) {
    append_formatted(text, fmt::make_format_args(args...));
  }
  void append_formatted(fmt::string_view text, fmt::format_args args);
  std::string_view view() const { return {begin_, static_cast<size_t>(at_ - begin_)}; }

 private:
  char* begin_;
  char* at_;
  char* end_;
};

// What is known about the work a line is about; appended behind the message: " while ...", ", client: ...". Control characters are
// escaped behind it, foreign text needs no care.
class LogContext {
 public:
  virtual void append(LogText& to) const = 0;

 protected:
  ~LogContext() = default;
};

// An `error_log` setting: sinks, each with its level.
class Log {
 public:
  // Lines of `level` and worse go to `sink`, which must outlive this.
  void add(LogSink& sink, LogLevel level);
  void clear();
  bool empty() const { return targets_.empty(); }
  bool writes_to(const LogSink& sink) const;
  // The least severe level that any sink takes.
  LogLevel level() const { return level_; }
  // `forced`: to every sink whatever its level (debug_connection).
  void write(LogLevel level, std::string_view line, bool forced) const;

 private:
  struct Target {
    LogSink* sink;
    LogLevel level;
  };
  std::vector<Target> targets_;
  LogLevel level_ = LogLevel{0};
};

// The log in use before there is a configuration and for what belongs to no request: standard error at `notice` until its owner (main,
// then each loaded configuration) sets it.
Log& default_log();

// While on, lines from emerg to warn also go to standard error as "fairlead: [emerg] message": for start and -t, where an operator looks
// on. Off at first. Nothing doubles for a Log that has standard_error() among its sinks.
void copy_log_to_console(bool on);

// The system's error to be named behind a message: "(111: Connection refused)".
struct Errno {
  int number;
};

// A small value to log with: a Log, the connection's number (0: none) and what to append. Cheap to copy; the three must outlive it.
// A call whose level is off costs one comparison (and the evaluation of its arguments).
class Logger {
 public:
  Logger() : Logger(default_log()) {}
  explicit Logger(const Log& log, uint64_t connection = 0, const LogContext* context = nullptr)
      : log_(&log), context_(context), connection_(connection) {}
  // As this one, for another log, or with another context. Keeps the forced state.
  Logger with(const Log& log) const;
  Logger with(const LogContext* context) const;
  // Every level goes to every sink of the log (debug_connection).
  void force() { forced_ = true; }

  const Log& log() const { return *log_; }
  uint64_t connection() const { return connection_; }
  const LogContext* context() const { return context_; }
  bool enabled(LogLevel level) const { return level <= log_->level() || forced_; }

  template <class... Args>
  void write(LogLevel level, fmt::format_string<Args...> text, Args&&... args) const {
    if (enabled(level)) write_formatted(level, Errno{0}, text, fmt::make_format_args(args...));
  }
  template <class... Args>
  void write(LogLevel level, Errno err, fmt::format_string<Args...> text, Args&&... args) const {
    if (enabled(level)) write_formatted(level, err, text, fmt::make_format_args(args...));
  }

#define FL_LOG_LEVEL(name)                                                              \
  template <class... Args>                                                              \
  void name(fmt::format_string<Args...> text, Args&&... args) const {                   \
    write(LogLevel::name, text, std::forward<Args>(args)...);                           \
  }                                                                                     \
  template <class... Args>                                                              \
  void name(Errno err, fmt::format_string<Args...> text, Args&&... args) const {        \
    write(LogLevel::name, err, text, std::forward<Args>(args)...);                      \
  }
  FL_LOG_LEVEL(emerg)
  FL_LOG_LEVEL(alert)
  FL_LOG_LEVEL(crit)
  FL_LOG_LEVEL(error)
  FL_LOG_LEVEL(warn)
  FL_LOG_LEVEL(notice)
  FL_LOG_LEVEL(info)
#undef FL_LOG_LEVEL

  // Compiled out without FAIRLEAD_DEBUG.
  template <class... Args>
  void debug([[maybe_unused]] fmt::format_string<Args...> text, [[maybe_unused]] Args&&... args) const {
#ifdef FAIRLEAD_DEBUG
    write(LogLevel::debug, text, std::forward<Args>(args)...);
#endif
  }

 private:
  void write_formatted(LogLevel level, Errno err, fmt::string_view text, fmt::format_args args) const;

  const Log* log_;
  const LogContext* context_;
  uint64_t connection_;
  bool forced_ = false;
};

}  // namespace fairlead
