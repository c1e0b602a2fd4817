// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A server for the tests of core/process: a test binary executed as `BINARY -p FOLDER -c CONF` runs it. Its configuration is lines of
// `listen ADDRESS [reuseport]`, `workers N`, `daemon on|off`, `master off`, `env NAME`, `user NAME` and the like, and faults:
// `refuse TEXT` (load fails), `stuck` (workers do not hear TERM), `exit N` (workers end at once). A worker answers each connection with
// "PID SLOT GENERATION KEPT\n". For an upgrade from nginx, CONF.tiny is read if it is there.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/log_sinks.h"
#include "core/base/text.h"
#include "core/process/channel.h"
#include "core/process/cmdline.h"
#include "core/process/control.h"
#include "core/process/master.h"
#include "core/process/process.h"
#include "core/process/signals.h"
#include "core/process/small_file.h"
#include "core/process/title.h"

namespace fairlead::tiny {

class TinyConfiguration final : public Configuration {
 public:
  explicit TinyConfiguration(const std::string& folder) : file_(folder + "error.log") {
    settings_.pid_path = folder + "pid";
  }

  ConfResult<> read(const std::string& text) {
    FL_TRY(file_.open());
    log_.add(file_, LogLevel::info);
    Splitter lines(text, '\n');
    for (std::string_view line; lines.next(line);) {
      size_t end = std::min(line.find(' '), line.size());
      std::string value(line.substr(std::min(end + 1, line.size())));
      FL_TRY(set(line.substr(0, end), value));
    }
    return Unit();
  }

  const ProcessSettings& settings() const override { return settings_; }
  ListenSet& listeners() override { return listeners_; }
  const Log& log() const override { return log_; }
  void commit() override { dup2(file_.descriptor(), STDERR_FILENO); }
  void close_logs() override { dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), file_.descriptor()); }
  void reopen_logs() override { reopen_log_file(file_, settings_.user, Logger(log_)); }

  bool stuck = false;
  int exit_at_once = -1;

 private:
  ConfResult<> set(std::string_view name, const std::string& value) {
    if (name == "listen") return listen(value);
    if (name == "workers") settings_.worker_processes = static_cast<unsigned>(parse_decimal(value).value_or(1));
    if (name == "daemon") settings_.daemon = value == "on";
    if (name == "master") settings_.master_process = value == "on";
    if (name == "delay") settings_.shutdown_delay_ms = parse_decimal(value).value_or(0);
    if (name == "drain") settings_.term_drains = true;
    if (name == "parent") settings_.quit_on_parent_exit = true;
    if (name == "watch") settings_.config_watch = true;
    if (name == "env") settings_.environment.push_back(value);
    if (name == "pid") settings_.pid_path = value;
    if (name == "folder") settings_.working_directory = value;
    if (name == "user") return user(value);
    if (name == "transparent") settings_.transparent = true;
    if (name == "priority") settings_.priority = static_cast<int>(parse_decimal(value).value_or(0));
    if (name == "files") settings_.open_files_max = parse_decimal(value);
    if (name == "stuck") stuck = true;
    if (name == "exit") exit_at_once = static_cast<int>(parse_decimal(value).value_or(0));
    if (name == "refuse") return value;
    return Unit();
  }

  ConfResult<> user(const std::string& name) {
    auto identity = find_identity(name, "");
    if (!identity) return std::move(identity.error());
    settings_.user_name = name;
    settings_.user = identity->user;
    settings_.group = identity->group;
    settings_.groups = identity->groups;
    return Unit();
  }

  ConfResult<> listen(std::string_view value) {
    ListenSpec spec;
    spec.reuseport = value.ends_with(" reuseport");
    auto addr = parse_addr(value.substr(0, value.find(' ')), 80, AddrUse::listen);
    if (!addr) return std::move(addr.error());
    spec.addr = addr->addr;
    listeners_.add(spec);
    return Unit();
  }

  FileSink file_;
  Log log_;
  ProcessSettings settings_;
  ListenSet listeners_;
};

class TinyWorker {
 public:
  TinyWorker(TinyConfiguration& configuration, const WorkerSlot& slot) : configuration_(&configuration), slot_(slot) {
    signals_ = signalfd(-1, &process_signals(), SFD_CLOEXEC | SFD_NONBLOCK);
  }

  int run() {
    if (configuration_->exit_at_once >= 0) return configuration_->exit_at_once;
    report(slot_.channel, WorkerReport::ready);
    if (slot_.single) slot_.single->become_ready();
    while (running_) {
      std::vector<pollfd> waiting = {{signals_, POLLIN, 0}, {slot_.channel, POLLIN, 0}};
      for (int listening : sockets()) waiting.push_back({listening, POLLIN, 0});
      if (poll(waiting.data(), waiting.size(), -1) < 0) continue;
      if (waiting[0].revents) take_signal();
      bool closed = false;
      auto command = waiting[1].revents ? receive_command(slot_.channel, closed) : std::nullopt;
      if (command) obey(*command);
      if (closed) return 1;
      for (size_t i = 2; i < waiting.size() && running_; ++i) {
        if (waiting[i].revents) answer(waiting[i].fd);
      }
    }
    report(slot_.channel, WorkerReport::drained);
    close(signals_);
    return 0;
  }

 private:
  std::vector<int> sockets() {
    std::vector<int> all;
    for (auto& listener : configuration_->listeners().listeners()) all.push_back(listener.descriptor(slot_.index));
    for (auto& socket : configuration_->listeners().retired()) all.push_back(socket->descriptor());
    return all;
  }

  void take_signal() {
    signalfd_siginfo got;
    if (::read(signals_, &got, sizeof(got)) != sizeof(got)) return;
    switch (got.ssi_signo) {
      case SIGTERM:
      case SIGINT: return obey(WorkerCommand::terminate);
      case SIGQUIT: return obey(WorkerCommand::quit);
      case SIGUSR1: return obey(WorkerCommand::reopen);
      case SIGHUP: return reload();
      default: return;
    }
  }

  void obey(WorkerCommand command) {
    if (command == WorkerCommand::reopen) {
      if (slot_.single) slot_.single->reopen_logs();
      else configuration_->reopen_logs();
      return;
    }
    if (command == WorkerCommand::terminate && configuration_->stuck) return;
    running_ = false;
  }

  void reload() {
    auto* next = slot_.single ? slot_.single->reload() : nullptr;
    if (!next) return;
    Configuration* replaced = configuration_;
    configuration_ = static_cast<TinyConfiguration*>(next);
    ++slot_.generation;
    slot_.single->release(*replaced);
  }

  void answer(int listening) {
    int client = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const char* kept = getenv("TINY_KEPT");
    std::string reply = format("{} {} {} {}\n", getpid(), slot_.index, slot_.generation, kept ? kept : "-");
    [[maybe_unused]] ssize_t sent = send(client, reply.data(), reply.size(), MSG_NOSIGNAL);
    close(client);
  }

  TinyConfiguration* configuration_;
  WorkerSlot slot_;
  int signals_ = -1;
  bool running_ = true;
};

class TinyProgram final : public Program {
 public:
  TinyProgram(std::string folder, std::string conf) : folder_(std::move(folder)), conf_(std::move(conf)) {}

  ConfResult<std::unique_ptr<Configuration>> load(Configuration*) override {
    inputs_ = {};
    inputs_.add_file(conf_);
    auto text = read_small_file(conf_ + ".tiny");
    if (!text) text = read_small_file(conf_);
    if (!text) return std::string("no configuration");
    auto configuration = std::make_unique<TinyConfiguration>(folder_);
    FL_TRY(configuration->read(*text));
    return std::unique_ptr<Configuration>(std::move(configuration));
  }
  int run_worker(Configuration& configuration, const WorkerSlot& slot) override {
    return TinyWorker(static_cast<TinyConfiguration&>(configuration), slot).run();
  }
  const ConfInputs& inputs() const override { return inputs_; }
  void announce_leave() override { Logger().notice("leave announced"); }
  void worker_exited(unsigned slot, pid_t pid, int) override { Logger().notice("slot {} lost {}", slot, pid); }

 private:
  std::string folder_, conf_;
  ConfInputs inputs_;
};

// The main() of such a server; `-s` signals one.
inline int server_main(int argc, char** argv) {
  hold_signals();
  clock().update();
  std::vector<std::string> arguments = take_arguments(argc, argv);
  std::vector<const char*> words;
  for (size_t i = 1; i < arguments.size(); ++i) words.push_back(arguments[i].c_str());
  auto line = parse_command_line(words);
  if (!line) return 1;
  StartPaths paths = start_paths(*line, "/");
  if (!line->signal.empty()) return send_signal(*line, paths.prefix + "pid", Logger());
  TinyProgram program(paths.prefix, paths.conf);
  return run_master(program, std::move(arguments), InheritedSockets::from_environment(Logger()));
}

}  // namespace fairlead::tiny
