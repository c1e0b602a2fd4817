// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the main context of a configuration says about processes, as plain values: filled by the configuration, read by the master and by
// a worker's start. Paths are absolute.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/process/cpu.h"
#include "core/shm/worker_slots.h"

namespace fairlead {

// Twice so many, each time with an agent, have slots: a reload may begin while no old worker has gone.
constexpr unsigned worker_processes_max = (worker_slots_max - 1) / 2 - 1;

struct ProcessSettings {
  bool daemon = true;
  bool master_process = true;
  unsigned worker_processes = 1;  // at most worker_processes_max; "auto" already resolved: usable_cpus()
  // Besides them a process that serves no client and stays who the master is; its slot follows theirs.
  bool privileged_agent = false;
  std::string pid_path;           // empty: no pid file
  std::string user_name;          // empty: workers keep the master's identity
  uid_t user = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
  std::vector<gid_t> groups;      // of the user; looked up once by the master, so that no worker needs the name service
  std::optional<uint64_t> open_files_max;  // worker_rlimit_nofile
  std::optional<uint64_t> core_bytes_max;  // worker_rlimit_core
  int priority = 0;                        // worker_priority, as in setpriority(); 0: as it is
  CpuAffinity affinity;
  std::vector<std::string> environment;  // `env`: NAME or NAME=VALUE
  std::string working_directory;         // empty: as it is
  bool term_drains = false;              // term_action drain: SIGTERM means what SIGQUIT means
  bool quit_on_parent_exit = false;
  bool config_watch = false;
  uint64_t start_timeout_ms = 60'000;  // for the first worker of a reload to serve; after that the reload has failed
  uint64_t shutdown_delay_ms = 0;  // between the news that the server leaves and the end of its accepting
  bool transparent = false;              // some socket will be bound to foreign addresses: keep CAP_NET_RAW

  unsigned slot_count() const { return worker_processes + (privileged_agent ? 1 : 0); }
  bool is_agent(unsigned slot) const { return privileged_agent && slot == worker_processes; }
};

}  // namespace fairlead
