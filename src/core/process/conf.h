// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The directives of the main part about processes, and what they say as ProcessSettings.
#pragma once

#include <string>

#include "core/conf/module.h"
#include "core/conf/value.h"
#include "core/process/settings.h"

namespace fairlead {

struct LoadRequest;

struct ProcessConf {
  ProcessSettings settings;
  std::string_view pid;      // empty: the default
  bool user_given = false;
  Msec shutdown_delay{0};
  Msec start_timeout{60'000};  // worker_start_timeout
  Msec shutdown_timeout{0};  // worker_shutdown_timeout; 0: no limit
  bool pcre_jit = true;
};

extern const Module process_module;

// The settings of a generation with defaults filled in: `default_user` and `default_pid` as configured at build time. Whoever is not root
// cannot change users: the `user` line is ignored with a warning, as in nginx.
ConfResult<ProcessSettings> process_settings(Generation& generation, std::string_view default_user, std::string_view default_pid);

// Where the pid file is, for -s: of the configuration only `pid` in the main part (and in -g) is read, so a broken file does not keep
// anybody from stopping the server.
std::string find_pid_path(const LoadRequest& request, std::string_view default_pid);

}  // namespace fairlead
