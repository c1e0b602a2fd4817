// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// CapturedLog: lua_capture_error_log: the newest lines of the error log in the process's memory, for ngx.errlog.get_logs. Each worker has
// its own by fork. Without Lua.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "core/base/log.h"

namespace fairlead {
class Block;
}

namespace fairlead::lua {

class CapturedLog final : public LogSink {
 public:
  // `bytes_max`: of all lines kept; the oldest go first.
  explicit CapturedLog(size_t bytes_max) : bytes_max_(bytes_max) {}
  void write(LogLevel level, std::string_view line) override;
  // Lines of `level` and worse are kept.
  void set_filter(LogLevel level) { filter_ = level; }
  // Every error log of the configuration brings its lines here, too.
  void follow(Block& root);

  struct Line {
    LogLevel level;
    double time_s;      // since 1970
    std::string text;   // without its end
  };
  // nullptr: there is none. It stays until pop().
  const Line* oldest() const { return lines_.empty() ? nullptr : &lines_.front(); }
  void pop();

 private:
  size_t bytes_max_;
  size_t bytes_ = 0;
  LogLevel filter_ = LogLevel::debug;
  std::deque<Line> lines_;
};

}  // namespace fairlead::lua
