// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The files by which a master is found and answers: PIDFILE ("PID\n"), PIDFILE.oldbin during an upgrade, PIDFILE.status: whether it
// serves, and the result of the last reload. Both sides of that conversation are here and in control.h.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/log.h"

namespace fairlead {

enum class ServerState : uint8_t { starting, serving, leaving };

// How far the server is and what became of the last reload, as whoever asked for it reads it.
struct ServerStatus {
  pid_t pid = 0;
  ServerState state = ServerState::starting;
  uint64_t started = 0;   // reloads begun since the start
  uint64_t finished = 0;  // reloads with a verdict
  uint64_t generation = 1;  // of the configuration in use
  bool ok = true;         // the last verdict
  std::string reason;     // why not, one line
};
std::string format_status(const ServerStatus& status);
std::optional<ServerStatus> parse_status(std::string_view text);
std::optional<ServerStatus> read_status(const std::string& pid_path);

// The master's hold on its pid file. Nothing happens for an empty path, or one that leads to a device.
class PidFile {
 public:
  explicit PidFile(std::string path);

  // Whether create() would find its place; leaves nothing behind.
  ConfResult<> check() const;
  // Complete the moment it appears, and then the status file is there, too, if it can be written at all: who finds the one may read the
  // other. The error is the line for the log.
  ConfResult<> create(const ServerStatus& status) const;
  // Moves to another path: creates that first, so that a failure changes nothing.
  ConfResult<> move(const std::string& path, const ServerStatus& status);
  // PIDFILE to PIDFILE.oldbin, for the new binary; false is logged.
  bool give_way(const Logger& log);
  // Back again, when the new binary has gone.
  void return_to_name(const Logger& log);
  // The file of this master, whatever its name now is; and the status file unless that is the new binary's.
  void remove(const Logger& log);
  void write_status(const ServerStatus& status, const Logger& log) const;

  const std::string& path() const { return path_; }

 private:
  std::string own_path() const { return gave_way_ ? path_ + ".oldbin" : path_; }
  std::string path_;
  bool gave_way_ = false;
};

}  // namespace fairlead
