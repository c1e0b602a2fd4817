// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/captured_log.h"

#include <set>

#include "core/base/clock.h"
#include "core/conf/block.h"
#include "core/conf/error_log.h"

namespace fairlead::lua {

void CapturedLog::write(LogLevel level, std::string_view line) {
  if (level > filter_) return;
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.size() > bytes_max_) return;
  while (bytes_ + line.size() > bytes_max_) pop();
  bytes_ += line.size();
  lines_.push_back({level, static_cast<double>(process_clock.wall_ms()) / 1000, std::string(line)});
}

void CapturedLog::pop() {
  bytes_ -= lines_.front().text.size();
  lines_.pop_front();
}

// Lines that no other sink takes are not made for this one.
void CapturedLog::follow(Block& root) {
  std::set<Log*> all;
  each_block(root, [&](Block& block) {
    if (Log* log = conf<ErrorLogConf>(block).log) all.insert(log);
  });
  for (Log* log : all) log->add(*this, log->level());
}

}  // namespace fairlead::lua
