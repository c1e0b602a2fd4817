// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a process does to itself: becoming a daemon, and becoming a worker (identity, limits, processor, environment). Who forks whom and
// why is in master.h.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/log_sinks.h"
#include "core/process/settings.h"

namespace fairlead {

struct Identity {
  uid_t user;
  gid_t group;
  std::vector<gid_t> groups;  // all that the user is in, `group` included
};
// For the `user` directive; an empty group is the one named like the user, as in nginx, or else the user's own. The error
// (`getpwnam("x") failed`) is to be followed by file and line.
ConfResult<Identity> find_identity(const std::string& user, const std::string& group);

// A parent that stays until its child, the daemon, has started or failed.
class Daemon {
 public:
  Daemon() = default;
  // Forks. In the child: the session is its own, standard input and output are /dev/null, standard error stays. The parent does not come
  // back: it exits with 0 when the child calls ready(), with 1 or the child's own status when that ends before.
  static ConfResult<Daemon> detach();
  void ready();

 private:
  int pipe_ = -1;
};

// Exit status of a worker that must not be started again: its successor would fail in the same way.
constexpr int fatal_exit = 2;

// Turns a fresh child into the worker of `slot`: environment, priority, limits, identity, processor, working folder. False, with the
// reason logged, if it must not serve: exit with fatal_exit.
bool enter_worker(const ProcessSettings& settings, unsigned slot, const Logger& log);

// Makes a folder unless it is there, and gives it to the workers' user. The error is the line for the operator.
ConfResult<Unit> make_folder(std::string_view path, uid_t user);

// Opens a log file again (after a rename) and gives it to the workers' user, who open it themselves after that. Failures are logged.
void reopen_log_file(FileSink& file, uid_t user, const Logger& log);

// At the top of main(): what is opened later must not get the number of a standard descriptor that the caller had closed, or what is
// written there would go into it.
void fill_standard_descriptors();

// For SIGUSR2: the path to execute for the program started as `argument0`. A bare name found by PATH is replaced by where we run from; to
// be asked while the file is still there.
std::string executable_path(const std::string& argument0);

}  // namespace fairlead
