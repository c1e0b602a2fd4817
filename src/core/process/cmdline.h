// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// argv as a value, with nginx's grammar and wording, and the paths that follow from it. What is then done is main.cc's; nothing here
// touches a file or prints.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace fairlead {

struct CommandLine {
  bool show_help = false;         // -? -h --help; the version comes with it
  bool show_version = false;      // -v --version
  bool show_build = false;        // -V; show_version is set, too
  bool test = false;              // -t
  bool dump = false;              // -T; test is set, too
  bool quiet = false;             // -q
  bool list_directives = false;   // --list-directives
  std::string signal;             // -s: "stop", "quit", "reopen", "reload", "wait" or empty
  std::optional<std::string> prefix;     // -p
  std::optional<std::string> error_log;  // -e; "stderr" or nothing is the standard error
  std::optional<std::string> conf;       // -c
  std::string directives;         // -g
  bool wait = true;               // --no-wait: -s reload only signals, as nginx does; -s wait looks once
  // --wait=TIME: how long -s reload waits for the verdict, -s wait for the server. Longer than worker_start_timeout is by default.
  uint64_t wait_ms = 90'000;
};

// `args`: argv without argv[0]. The error is what to print behind "fairlead: " before exit 1.
ConfResult<CommandLine> parse_command_line(std::span<const char* const> args);

// What -h prints behind the version.
std::string usage_text();

// Where things are for a command line: absolute, the prefix with a slash at its end.
struct StartPaths {
  std::string prefix;     // what relative paths of the configuration are under (logs, html)
  std::string conf;       // the configuration file
  std::string error_log;  // until the configuration names one; empty: the standard error
};
// `current_folder`: what a relative -p is under; absolute, without a slash at its end. Built-in paths below the built-in prefix follow -p.
StartPaths start_paths(const CommandLine& line, std::string_view current_folder);

// `path` as it is if absolute, else below `prefix`, which ends in a slash.
std::string path_below(std::string_view prefix, std::string_view path);

}  // namespace fairlead
