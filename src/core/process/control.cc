// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/process/pid_file.h"
#include "core/process/small_file.h"

namespace fairlead {
namespace {

constexpr int look_every_ms = 10;
constexpr size_t pid_bytes_max = 22;  // what nginx reads

struct Action {
  std::string_view name;
  int signal;
};
constexpr Action actions[] = {{"stop", SIGTERM}, {"quit", SIGQUIT}, {"reopen", SIGUSR1}, {"reload", SIGHUP}};

int signal_of(std::string_view name) {
  for (const Action& action : actions) {
    if (action.name == name) return action.signal;
  }
  bool known_to_command_line = false;
  FL_ASSERT(known_to_command_line);
  return 0;
}

std::optional<pid_t> read_pid(const std::string& path, const Logger& log) {
  auto text = read_small_file(path, pid_bytes_max);
  if (!text) {
    log.error(Errno{errno}, "open() \"{}\" failed", path);
    return std::nullopt;
  }
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
  auto number = parse_decimal(*text);
  if (number && *number > 0 && *number <= INT32_MAX) return static_cast<pid_t>(*number);
  log.error("invalid PID number \"{}\" in \"{}\"", *text, path);
  return std::nullopt;
}

bool is_there(const std::string& path) { return access(path.c_str(), F_OK) == 0 || errno != ENOENT; }

// Until the master has finished a reload that it began after `before` was read.
int wait_for_verdict(const ServerStatus& before, const std::string& pid_path, uint64_t wait_ms, const Logger& log) {
  clock().update();
  uint64_t end_ms = clock().now_ms() + wait_ms;
  for (;;) {
    auto now = read_status(pid_path);
    if (now && now->pid == before.pid && now->finished > before.started) {
      if (now->ok) return 0;
      log.error("reload failed: {}", now->reason);
      return 1;
    }
    if (now && now->pid == before.pid && now->state == ServerState::leaving) {  // which does not reload any more
      log.error("process {} is leaving", before.pid);
      return 1;
    }
    if (kill(before.pid, 0) < 0 && errno == ESRCH) {
      log.error("process {} exited before it answered", before.pid);
      return 1;
    }
    if (!now && !is_there(pid_path + ".status")) {
      log.error("process {} was signalled, the result is unknown: it cannot write \"{}.status\"", before.pid, pid_path);
      return 1;
    }
    clock().update();
    if (clock().now_ms() >= end_ms) {
      log.error("no answer from process {} within {} ms", before.pid, wait_ms);
      return 1;
    }
    poll(nullptr, 0, look_every_ms);
  }
}

// What stands in the way of "it serves", or nothing.
std::string why_not_serving(const std::string& pid_path) {
  auto status = read_status(pid_path);
  if (!status) return "there is no server";
  if (kill(status->pid, 0) < 0 && errno == ESRCH) return format("process {} has ended", status->pid);
  if (status->state == ServerState::starting) return format("process {} is starting", status->pid);
  if (status->state == ServerState::leaving) return format("process {} is leaving", status->pid);
  return {};
}

}  // namespace

int wait_until_serving(const CommandLine& line, const std::string& pid_path, const Logger& log) {
  clock().update();
  uint64_t wait_ms = line.wait ? line.wait_ms : 0;
  uint64_t end_ms = clock().now_ms() + wait_ms;
  for (;;) {
    std::string reason = why_not_serving(pid_path);
    if (reason.empty()) return 0;
    clock().update();
    if (clock().now_ms() >= end_ms) {
      log.error("not ready within {} ms: {} (\"{}\")", wait_ms, reason, pid_path);
      return 1;
    }
    poll(nullptr, 0, look_every_ms);
  }
}

int send_signal(const CommandLine& line, const std::string& pid_path, const Logger& log) {
  log.notice("signal process started");
  auto pid = read_pid(pid_path, log);
  if (!pid) return 1;
  auto before = read_status(pid_path);
  int signal = signal_of(line.signal);
  if (kill(*pid, signal) < 0) {
    log.alert(Errno{errno}, "kill({}, {}) failed", *pid, signal);
    return 1;
  }
  bool answers = before && before->pid == *pid;
  if (signal != SIGHUP || !line.wait || !answers) return 0;
  return wait_for_verdict(*before, pid_path, line.wait_ms, log);
}

}  // namespace fairlead
