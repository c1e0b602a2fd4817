// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/signals.h"

#include <errno.h>
#include <time.h>

namespace fairlead {
namespace {

struct Known {
  int number;
  std::string_view name;
};
constexpr Known known[] = {
    {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"},   {SIGHUP, "SIGHUP"},   {SIGUSR1, "SIGUSR1"},
    {SIGUSR2, "SIGUSR2"}, {SIGCHLD, "SIGCHLD"}, {SIGWINCH, "SIGWINCH"}, {SIGALRM, "SIGALRM"},
};

// Whose default would end the process, and that mean nothing here: what a write says by its result,
// and what a device or a filter of system calls may send.
constexpr int ignored[] = {SIGPIPE, SIGIO, SIGSYS};

// Gives a signal whose default is to be ignored an action, without which some systems drop it although it is blocked. Never runs.
void nothing(int) {}

}  // namespace

const sigset_t& process_signals() {
  static const sigset_t set = [] {
    sigset_t made;
    sigemptyset(&made);
    for (const Known& one : known) sigaddset(&made, one.number);
    return made;
  }();
  return set;
}

void hold_signals() {
  struct sigaction action = {};
  action.sa_handler = nothing;
  sigprocmask(SIG_BLOCK, &process_signals(), nullptr);
  for (const Known& one : known) sigaction(one.number, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (int number : ignored) sigaction(number, &action, nullptr);
}

void release_signals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (const Known& one : known) sigaction(one.number, &action, nullptr);
  for (int number : ignored) sigaction(number, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::optional<Signal> next_signal(int timeout_ms) {
  siginfo_t got;
  timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1'000'000L};
  int number = timeout_ms < 0 ? sigwaitinfo(&process_signals(), &got) : sigtimedwait(&process_signals(), &got, &limit);
  if (number < 0) return std::nullopt;  // nothing in time, or a debugger's EINTR: the caller comes again
  bool by_process = got.si_code == SI_USER || got.si_code == SI_QUEUE || number == SIGCHLD;
  return Signal{number, by_process ? got.si_pid : 0};
}

std::string_view signal_name(int number) {
  for (const Known& one : known) {
    if (one.number == number) return one.name;
  }
  return "SIG?";
}

void log_signal(const Logger& log, Signal signal, std::string_view action) {
  if (signal.sender != 0) {
    log.notice("signal {} ({}) received from {}{}", signal.number, signal_name(signal.number), signal.sender, action);
  } else {
    log.notice("signal {} ({}) received{}", signal.number, signal_name(signal.number), action);
  }
}

}  // namespace fairlead
