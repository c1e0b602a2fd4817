// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// How many processors we may use, and which worker runs on which. Reads /proc and cgroup files; changes nothing but the calling process's
// own affinity.
#pragma once

#include <sched.h>

#include <bitset>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace fairlead {

constexpr size_t cpus_max = 1024;
using CpuMask = std::bitset<cpus_max>;

// The processors this process may be scheduled on.
CpuMask allowed_cpus();

// What `worker_processes auto` means: allowed processors, at most the processor time that the cgroups allow (v2 cpu.max, v1
// cpu.cfs_quota_us, the tightest up to the root), rounded up; at least 1.
unsigned usable_cpus();

// The limit by cgroups in processors, rounded up; 0 if there is none. `root` stands before /proc and /sys: a test's folder, or "".
unsigned cgroup_cpus(const std::string& root);

// worker_cpu_affinity.
struct CpuAffinity {
  std::vector<CpuMask> masks;  // by slot, the last for all further ones; empty: as it is
  bool automatic = false;      // one processor of the mask each, in turn

  // What the worker in `slot` runs on, or nothing to be done (an empty mask).
  CpuMask of(unsigned slot) const;
};

// The words behind `worker_cpu_affinity`: "auto [mask]" or masks, the right-most digit being processor 0. The error is in nginx's words.
ConfResult<CpuAffinity> parse_cpu_affinity(std::span<const std::string_view> words);

// Binds the calling process; false with errno set.
bool set_affinity(const CpuMask& mask);

}  // namespace fairlead
