// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The life of the whole server as seen by the process that serves nothing: start, workers, signals, reload, upgrade, end. It has no event
// loop; what is loaded and what a worker does come through the two seams below. Owns the generations.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/conf/inputs.h"
#include "core/process/listen_set.h"
#include "core/process/settings.h"

namespace fairlead {

// One loaded configuration as the master sees it. Destroyed when no worker of it lives (in a single process: when it is released).
class Configuration {
 public:
  virtual ~Configuration() = default;
  virtual const ProcessSettings& settings() const = 0;
  // Filled with what is to be opened, not open yet.
  virtual ListenSet& listeners() = 0;
  virtual const Log& log() const = 0;
  // Makes it the one in use in this process (standard error to the error log, ...): in the master when nothing can fail any more, and in
  // each of its workers.
  virtual void commit() = 0;
  // Opens the log files again and gives them to the workers' user: reopen_log_file().
  virtual void reopen_logs() = 0;
  // In a worker of another one: lets go of its log files.
  virtual void close_logs() = 0;
};

// What the world around asks for without a signal: files that changed, a parent that is gone.
enum class Wish : uint8_t { none, reload, quit };

// What a worker may ask of the master it is itself (`master_process off`): there is nobody else to do it.
class SingleProcess {
 public:
  // As on SIGHUP in a master. The new configuration, committed, with its sockets listening; null if it failed: logged, the old one stays.
  virtual Configuration* reload() = 0;
  // Nothing uses a configuration that was replaced any more.
  virtual void release(Configuration& replaced) = 0;
  virtual void reopen_logs() = 0;
  // It accepts now.
  virtual void become_ready() = 0;
  // The end has begun, though it may go on accepting for its shutdown_delay.
  virtual void begin_leave() = 0;
  // How often there is something to look for, 0 for never; and what is wished then.
  virtual uint64_t look_every_ms() = 0;
  virtual Wish look() = 0;
  // Closes the listening sockets, at the begin of the end.
  virtual void stop_listening() = 0;

 protected:
  ~SingleProcess() = default;
};

struct WorkerSlot {
  unsigned index = 0;
  unsigned count = 1;           // worker_processes
  uint64_t generation = 1;      // counts the configurations of this master
  int channel = -1;             // core/process/channel.h; -1 in a single process
  SingleProcess* single = nullptr;  // null unless `master_process off`
  bool is_agent = false;            // serves no client (ProcessSettings::privileged_agent)
};

class Program {
 public:
  // Reads the configuration anew. `previous` is the one in use, null at the start. Everything it
  // does must be undone by destroying the result. The error is the line for the log. Whether there
  // is a master stays as `previous` has it.
  virtual ConfResult<std::unique_ptr<Configuration>> load(Configuration* previous) = 0;
  // What the last load() read, whatever came of it.
  virtual const ConfInputs& inputs() const = 0;
  // In the master: the server is about to end, with workers that still accept. Seen by all of them.
  virtual void announce_leave() = 0;
  // In a worker, which is already what the settings make of it; also in a single process. process_signals() are blocked: the worker takes
  // them (TERM INT QUIT USR1; also HUP USR2 WINCH in a single process). It reports ready and drained on its channel and accepts from
  // listeners().retired() if its index is 0. Gives the exit status.
  virtual int run_worker(Configuration& configuration, const WorkerSlot& slot) = 0;
  // In the master: a worker is gone (`status` as from wait()), what it held in shared memory is free. Before its slot is filled again.
  virtual void worker_exited(unsigned slot, pid_t pid, int status) = 0;

 protected:
  ~Program() = default;
};

// Runs the server until it is told to end; gives the exit status of the process. Call hold_signals() and take_arguments() (which gives
// `arguments`) at the top of main. `inherited`: InheritedSockets::from_environment(). Start errors go to the log and standard error.
int run_master(Program& program, std::vector<std::string> arguments, InheritedSockets inherited);

}  // namespace fairlead
