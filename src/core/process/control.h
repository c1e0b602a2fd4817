// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The other end of `-s`: finds the master by its pid file, signals it and, for a reload, waits for its verdict. Needs no configuration but
// the pid file's path, so that stop and quit work while the configuration is broken.
#pragma once

#include <string>

#include "core/base/log.h"
#include "core/process/cmdline.h"

namespace fairlead {

// `line.signal` must not be empty. Gives the exit status of the program: 0, or 1 with the reason logged in nginx's words. A reload waits at
// most `line.wait_ms` unless told not to, and does not wait for a master that keeps no status file (nginx).
int send_signal(const CommandLine& line, const std::string& pid_path, const Logger& log);

// -s wait: 0 as soon as the server of that pid file serves with all its workers and is not about to end; 1, with the reason logged, if it
// does not within `line.wait_ms`. There need not be a server yet.
int wait_until_serving(const CommandLine& line, const std::string& pid_path, const Logger& log);

}  // namespace fairlead
