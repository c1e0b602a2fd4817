// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/pid_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/process/small_file.h"

namespace fairlead {

namespace {
constexpr std::string_view state_names[] = {"starting", "serving", "leaving"};
}

std::string format_status(const ServerStatus& status) {
  std::string reason = status.reason;
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  return format("pid {}\nstate {}\nstarted {}\nfinished {}\ngeneration {}\nresult {}\nreason {}\n", status.pid,
                state_names[static_cast<size_t>(status.state)], status.started, status.finished, status.generation,
                status.ok ? "ok" : "failed", reason);
}

std::optional<ServerStatus> parse_status(std::string_view text) {
  ServerStatus status;
  int found = 0;
  Splitter lines(text, '\n');
  for (std::string_view line; lines.next(line);) {
    size_t end = std::min(line.find(' '), line.size());
    std::string_view name = line.substr(0, end);
    std::string_view value = line.substr(std::min(end + 1, line.size()));
    if (name == "state") {
      const auto* known = std::find(std::begin(state_names), std::end(state_names), value);
      if (known != std::end(state_names)) status.state = static_cast<ServerState>(known - std::begin(state_names));
    }
    if (name == "result") status.ok = value == "ok";
    if (name == "reason") status.reason = value;
    auto number = parse_decimal(value);
    if (!number) continue;
    if (name == "pid") status.pid = static_cast<pid_t>(*number), ++found;
    if (name == "started") status.started = *number, ++found;
    if (name == "finished") status.finished = *number, ++found;
    if (name == "generation") status.generation = *number, ++found;
  }
  if (found != 4) return std::nullopt;
  return status;
}

std::optional<ServerStatus> read_status(const std::string& pid_path) {
  auto text = read_small_file(pid_path + ".status");
  if (!text) return std::nullopt;
  return parse_status(*text);
}

static std::string open_failed(const std::string& path, int err) {
  char buffer[128];
  return format("open() \"{}\" failed ({}: {})", path, err, strerror_r(err, buffer, sizeof(buffer)));
}

// A device is no file that one could be found by, nor one to rename or remove.
PidFile::PidFile(std::string path) : path_(std::move(path)) {
  struct stat now;
  if (!path_.empty() && stat(path_.c_str(), &now) == 0 && (S_ISCHR(now.st_mode) || S_ISBLK(now.st_mode))) path_.clear();
}

ConfResult<> PidFile::check() const {
  if (path_.empty() || can_replace_file(path_)) return Unit();
  return open_failed(path_, errno);
}

ConfResult<> PidFile::create(const ServerStatus& status) const {
  if (path_.empty()) return Unit();
  std::string status_path = path_ + ".status";
  bool has_status = replace_file(status_path, format_status(status));  // without one it still serves
  if (replace_file(path_, format("{}\n", getpid()))) return Unit();
  int err = errno;
  if (has_status) unlink(status_path.c_str());
  return open_failed(path_, err);
}

ConfResult<> PidFile::move(const std::string& path, const ServerStatus& status) {
  if (path == path_) return Unit();
  PidFile next(path);
  FL_TRY(next.create(status));
  remove(Logger());
  *this = next;
  return Unit();
}

bool PidFile::give_way(const Logger& log) {
  if (path_.empty()) return true;
  std::string old = path_ + ".oldbin";
  if (rename(path_.c_str(), old.c_str()) < 0) {
    log.alert(Errno{errno}, "rename() {} to {} failed before executing new binary process", path_, old);
    return false;
  }
  gave_way_ = true;
  return true;
}

void PidFile::return_to_name(const Logger& log) {
  if (!gave_way_) return;
  std::string old = own_path();
  gave_way_ = false;
  if (rename(old.c_str(), path_.c_str()) < 0) {
    log.alert(Errno{errno}, "rename() {} back to {} failed after the new binary process exited", old, path_);
  }
}

void PidFile::remove(const Logger& log) {
  if (path_.empty()) return;
  std::string own = own_path();
  if (!remove_or_empty_file(own)) log.alert(Errno{errno}, "unlink() \"{}\" failed", own);
  auto status = read_status(path_);
  if (status && status->pid == getpid()) unlink((path_ + ".status").c_str());  // a new binary writes its own, unless it is nginx
}

void PidFile::write_status(const ServerStatus& status, const Logger& log) const {
  if (path_.empty() || gave_way_) return;
  std::string path = path_ + ".status";
  if (replace_file(path, format_status(status))) return;
  log.error(Errno{errno}, "cannot write \"{}\"", path);
  unlink(path.c_str());  // what it says is over; nobody waits for more
}

}  // namespace fairlead
