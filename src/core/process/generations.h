// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The configurations that are alive, and the way from one to the next: load, open, let its workers show that they serve, then commit or
// leave everything as it was. Shared by the master and the single process.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/process/conf_watch.h"
#include "core/process/master.h"
#include "core/process/notice.h"
#include "core/process/pid_file.h"

namespace fairlead {

class Generations {
 public:
  struct Alive {
    std::unique_ptr<Configuration> configuration;
    uint64_t number;
  };
  Generations(Program& program, InheritedSockets inherited);

  // The first configuration with its sockets listening, not committed. The error is logged.
  bool start();
  // Behind the fork of a daemon: the pid file, then the point of no return. False is logged.
  bool commit_start();
  // Makes next(), whose sockets listen; not while a new binary has the pid file. False is logged and told to whoever waits for a verdict,
  // everything is as before. `live`: workers of all generations, beside which those of the next one must find slots.
  bool reload(size_t live);
  // What was loaded and is not in use yet; null: nothing.
  const Alive* next() const { return next_ ? &*next_ : nullptr; }
  // It is the one in use from now on; the verdict is to be told by finish_reload(). False: as by refuse_next().
  bool accept_next();
  // The one in use stays it, which is logged and told; the other is destroyed as soon as no worker of it lives.
  void refuse_next(std::string reason);
  // Tells the verdict to whoever waits for it, once the new workers serve.
  void finish_reload();

  // The workers serve: the status file and the service manager hear of it.
  void become_ready();
  // None does any more.
  void become_unready();
  // The end has begun. Silent while another binary serves on.
  void begin_leave();
  // Whether look() may ever wish for something, and that: once every ConfWatch::look_every_ms.
  uint64_t look_every_ms() const;
  Wish look();

  Configuration& current() { return *alive_.back().configuration; }
  const Configuration& current() const { return *alive_.back().configuration; }
  const Alive& in_use() const { return alive_.back(); }
  uint64_t number() const { return in_use().number; }
  Logger log() { return Logger(current().log()); }
  // Destroys those before the current one of which `in_use(number)` says no.
  template <class InUse>
  void retire(InUse in_use) {
    std::erase_if(alive_, [&](const Alive& one) { return one.number != number() && !in_use(one.number); });
  }
  void release(Configuration& replaced);
  // In a new worker of `mine`: closes what is the others' alone, so that it does not outlive them.
  void close_others(Configuration& mine);
  void reopen_logs();

  // The new binary has the pid file now, or it is ours again.
  bool give_way() { return gave_way_ = pid_file_.give_way(log()); }
  void return_to_name();
  // For the environment of a new binary.
  std::vector<std::string> notice_variables() const { return notice_.variables(); }
  void remove_pid_file() { pid_file_.remove(log()); }

  // The parent from which we were started; once it is gone, inherited sockets are ours alone.
  void note_parent(pid_t parent) { parent_ = parent; }
  bool parent_is_there() const;
  bool from_old_binary() const { return inherited_.from_old_binary(); }
  // No other binary serves our sockets, as far as our parent goes.
  bool sole_owner() const { return !(from_old_binary() && parent_is_there()); }
  FilesGone files_gone() const { return sole_owner() ? FilesGone::all : FilesGone::of_opened; }

 private:
  ConfResult<> load_next(size_t live);
  ConfResult<> open_next(std::unique_ptr<Configuration> next, size_t live);
  void tell_failure(std::string reason);
  unsigned slots_of(const ProcessSettings& settings) const;

  Program& program_;
  InheritedSockets inherited_;
  std::vector<Alive> alive_;  // the one in use last
  std::optional<Alive> next_;
  uint64_t last_number_ = 1;
  PidFile pid_file_{""};
  bool gave_way_ = false;
  ConfWatch watch_;
  ServiceNotice notice_;
  ServerStatus status_;
  pid_t parent_ = 0;
};

}  // namespace fairlead
