// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Signals taken one by one where the program is ready for them: blocked from the start and fetched with sigtimedwait(), so that no code
// runs inside a signal. A worker inherits them blocked and gives them to its loop (signalfd, kqueue): none is lost in between.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <optional>
#include <string_view>

#include "core/base/log.h"

namespace fairlead {

struct Signal {
  int number;
  pid_t sender;  // 0: the kernel
};

// All that mean something to a master or a worker: TERM INT QUIT HUP USR1 USR2 WINCH CHLD ALRM.
const sigset_t& process_signals();

// Blocks process_signals() and ignores PIPE. First thing in main(): what arrives later waits, for pid 1 in a container, too, which the
// kernel otherwise spares signals without an action.
void hold_signals();
// As a program expects it at its start. For the child that executes another one.
void release_signals();

// The next signal, or nothing after `timeout_ms` (-1: wait for ever). hold_signals() first.
std::optional<Signal> next_signal(int timeout_ms);

// "SIGTERM"; "SIG?" for what is not in process_signals().
std::string_view signal_name(int number);

// `signal 1 (SIGHUP) received from 17, reconfiguring`: `action` with its comma, or empty.
void log_signal(const Logger& log, Signal signal, std::string_view action);

}  // namespace fairlead
