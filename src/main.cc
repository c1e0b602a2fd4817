// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Composition root: the command line, and either an answer to it or the master.
#include <openssl/crypto.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "build_config.h"
#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/conf/reference.h"
#include "core/process/build_options.h"
#include "core/process/cmdline.h"
#include "core/process/control.h"
#include "core/process/conf.h"
#include "core/process/pid_file.h"
#include "core/process/process.h"
#include "core/process/signals.h"
#include "core/process/title.h"
#include "event/tls/record_buffers.h"
#include "http/request/identity.h"
#include "program.h"

namespace fairlead {

static void show_version(const CommandLine& line) {
  std::fprintf(stderr, "fairlead version: fairlead/%s\n", FAIRLEAD_VERSION);
  if (line.show_help) std::fputs(usage_text().c_str(), stderr);
  if (!line.show_build) return;
  std::fprintf(stderr, "compatible with nginx version: nginx/%s\n", std::string(http::compatible_version).c_str());
  std::fprintf(stderr, "built by %s\nbuilt with %s\n", build_config::compiler, OpenSSL_version(OPENSSL_VERSION));
  std::fputs("TLS SNI support enabled\n", stderr);
  std::string options = configure_options();
  std::fprintf(stderr, "configure arguments:%s%s\n", options.empty() ? "" : " ", options.c_str());
}

static LoadRequest request_of(const CommandLine& line, const StartPaths& paths) {
  LoadRequest request;
  request.prefix = paths.prefix;
  request.conf_path = paths.conf;
  request.global_directives = line.directives;
  request.error_log_path = paths.error_log.empty() ? "stderr" : paths.error_log;
  request.access_log_path = std::string(build_config::below_prefix(build_config::http_log_path));
  request.test_only = line.test;
  return request;
}

static void tell_syntax(const LoadRequest& request) {
  std::fprintf(stderr, "fairlead: the configuration file %s syntax is ok\n", request.conf_path.c_str());
}

// -t and -T.
static int test_configuration(const CommandLine& line, const LoadRequest& request) {
  auto loaded = LoadedConfiguration::load(request, nullptr, nullptr, nullptr, line.quiet ? nullptr : &tell_syntax);
  ConfResult<Unit> opened = Unit();
  if (loaded) {
    ListenPlan plan;
    plan.mode = ListenPlan::Mode::test;
    opened = (*loaded)->listeners().open(plan, Logger());
    if (opened) opened = PidFile((*loaded)->settings().pid_path).check();
  }
  bool ok = loaded && opened;
  if (!loaded) Logger().emerg("{}", loaded.error());
  else if (!opened) Logger().emerg("{}", opened.error());
  if (!ok || !line.quiet)
    std::fprintf(stderr, "fairlead: configuration file %s test %s\n", request.conf_path.c_str(), ok ? "is successful" : "failed");
  if (!ok) return 1;
  if (line.dump) {
    for (const ConfFile& file : (*loaded)->generation().files())
      std::printf("# configuration file %s:\n%s\n", file.path.c_str(), file.text.c_str());
  }
  return 0;
}

// -s: reads as much of the configuration as it takes to find the pid file.
static int signal_master(const CommandLine& line, const LoadRequest& request) {
  std::string pid_path = find_pid_path(request, build_config::below_prefix(build_config::pid_path));
  if (line.signal == "wait") return wait_until_serving(line, pid_path, Logger());
  return send_signal(line, pid_path, Logger());
}

static int run(const CommandLine& line, std::vector<std::string> arguments) {
  char folder[4096] = "";
  if (!getcwd(folder, sizeof folder)) folder[0] = '\0';
  StartPaths paths = start_paths(line, folder);
  LoadRequest request = request_of(line, paths);
  auto opened = open_start_log(request);
  if (!opened) std::fprintf(stderr, "fairlead: [alert] could not open error log file: %s\n", opened.error().c_str());
  if (line.test) return test_configuration(line, request);  // whatever else is asked for, the running server is left alone
  if (!line.signal.empty()) return signal_master(line, request);
  auto board = WorkerSlots::create();
  if (!board) {
    Logger().emerg(Errno{board.error().sys}, "{}", board.error().what);
    return 1;
  }
  Server server(std::move(request), std::move(*board));
  return run_master(server, std::move(arguments), InheritedSockets::from_environment(Logger()));
}

}  // namespace fairlead

int main(int argc, char** argv) {
  using namespace fairlead;
  fill_standard_descriptors();
  hold_signals();
  (void)keep_record_buffers();  // where something linked in was faster than main(), OpenSSL stays with the heap
  process_clock.update();
  std::vector<const char*> words(argv + 1, argv + argc);
  auto line = parse_command_line(words);
  if (!line) {
    std::fprintf(stderr, "fairlead: %s\n", line.error().c_str());
    return 1;
  }
  std::vector<std::string> arguments = take_arguments(argc, argv);
  auto assigned = assign_modules();
  if (!assigned) {
    std::fprintf(stderr, "fairlead: [emerg] %s\n", assigned.error().c_str());
    return 1;
  }
  if (line->show_version) show_version(*line);
  if (line->show_version && !line->test) return 0;
  if (line->list_directives) {
    std::fputs((directive_reference(modules()) + left_out_reference()).c_str(), stdout);
    return 0;
  }
  copy_log_to_console(true);
  return run(*line, std::move(arguments));
}
