// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/cpu.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/process/small_file.h"

namespace fairlead {
namespace {

// Where a hierarchy of cgroups is mounted, and which of its folders the mount shows as its top.
struct Mount {
  std::string point;
  std::string top;
};

bool has_word(std::string_view list, std::string_view wanted) {
  Splitter words(list, ',');
  for (std::string_view word; words.next(word);) {
    if (word == wanted) return true;
  }
  return false;
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  Splitter parts(line, ' ');
  for (std::string_view part; parts.next(part);) {
    if (!part.empty()) fields.push_back(part);
  }
  return fields;
}

// proc(5): ID PARENT DEVICE TOP POINT OPTIONS [TAGS...] - TYPE SOURCE SUPER_OPTIONS
Mount find_mount(std::string_view mounts, std::string_view type, std::string_view controller) {
  Splitter lines(mounts, '\n');
  for (std::string_view line; lines.next(line);) {
    auto fields = fields_of(line);
    auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || fields.end() - dash < 4 || dash[1] != type) continue;
    if (!controller.empty() && !has_word(dash[3], controller)) continue;
    return {std::string(fields[4]), std::string(fields[3])};
  }
  return {};
}

// "HIERARCHY:CONTROLLERS:PATH"; version 2 has no controllers.
std::string find_group(std::string_view groups, std::string_view controller) {
  Splitter lines(groups, '\n');
  for (std::string_view line; lines.next(line);) {
    size_t first = line.find(':');
    size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : has_word(controllers, controller)) return std::string(line.substr(second + 1));
  }
  return {};
}

unsigned rounded_up(std::string_view quota, std::string_view period) {
  auto allowed = parse_decimal(quota);
  auto of = parse_decimal(period);
  if (!allowed || !of || *of == 0) return 0;
  return static_cast<unsigned>(std::clamp<uint64_t>((*allowed + *of - 1) / *of, 1, cpus_max));
}

unsigned limit_in(const std::string& folder, bool version2) {
  if (version2) {
    std::string content = read_small_file(folder + "/cpu.max").value_or("");
    auto fields = fields_of(trim_line(content));
    return fields.size() == 2 ? rounded_up(fields[0], fields[1]) : 0;  // "max" is no number
  }
  std::string quota = read_small_file(folder + "/cpu.cfs_quota_us").value_or("");
  std::string period = read_small_file(folder + "/cpu.cfs_period_us").value_or("");
  return rounded_up(trim_line(quota), trim_line(period));  // -1: no limit
}

// The tightest limit from the group up to the top of the mount.
unsigned tightest(const std::string& root, const Mount& mount, std::string group, bool version2) {
  if (mount.point.empty() || group.empty()) return 0;
  if (mount.top != "/" && group.starts_with(mount.top)) group.erase(0, mount.top.size());
  unsigned limit = 0;
  for (;;) {
    while (!group.empty() && group.back() == '/') group.pop_back();
    unsigned own = limit_in(root + mount.point + group, version2);
    if (own > 0 && (limit == 0 || own < limit)) limit = own;
    if (group.empty()) return limit;
    group.erase(std::min(group.rfind('/'), group.size()));
  }
}

}  // namespace

CpuMask allowed_cpus() {
  CpuMask mask;
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (size_t cpu = 0; cpu < std::min<size_t>(CPU_SETSIZE, cpus_max); ++cpu) mask.set(cpu, CPU_ISSET(cpu, &set));
    return mask;
  }
#endif
  long online = std::clamp(sysconf(_SC_NPROCESSORS_ONLN), 1L, static_cast<long>(cpus_max));
  for (long cpu = 0; cpu < online; ++cpu) mask.set(static_cast<size_t>(cpu));
  return mask;
}

unsigned cgroup_cpus(const std::string& root) {
  std::string mounts = read_small_file(root + "/proc/self/mountinfo").value_or("");
  std::string groups = read_small_file(root + "/proc/self/cgroup").value_or("");
  unsigned two = tightest(root, find_mount(mounts, "cgroup2", ""), find_group(groups, ""), true);
  unsigned one = tightest(root, find_mount(mounts, "cgroup", "cpu"), find_group(groups, "cpu"), false);
  if (one == 0 || two == 0) return std::max(one, two);
  return std::min(one, two);
}

unsigned usable_cpus() {
  unsigned allowed = std::max<unsigned>(1, static_cast<unsigned>(allowed_cpus().count()));
  unsigned limit = cgroup_cpus("");
  return limit == 0 ? allowed : std::min(allowed, limit);
}

CpuMask CpuAffinity::of(unsigned slot) const {
  if (masks.empty()) return {};
  if (!automatic) return masks[std::min<size_t>(slot, masks.size() - 1)];
  CpuMask one;
  size_t turn = slot % masks[0].count();
  for (size_t cpu = 0;; ++cpu) {
    if (!masks[0][cpu] || turn-- > 0) continue;
    one.set(cpu);
    return one;
  }
}

static ConfResult<CpuMask> parse_mask(std::string_view text) {
  if (text.size() > cpus_max) return format("\"worker_cpu_affinity\" supports up to {} CPUs only", cpus_max);
  CpuMask mask;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '0' && text[i] != '1') return format("invalid character \"{}\" in \"worker_cpu_affinity\"", text[i]);
    mask.set(text.size() - 1 - i, text[i] == '1');
  }
  return mask;
}

ConfResult<CpuAffinity> parse_cpu_affinity(std::span<const std::string_view> words) {
  CpuAffinity affinity;
  if (!words.empty() && words[0] == "auto") {
    if (words.size() > 2) return std::string("invalid number of arguments in \"worker_cpu_affinity\" directive");
    affinity.automatic = true;
    CpuMask mask = allowed_cpus();
    if (words.size() == 2) {
      auto given = parse_mask(words[1]);
      FL_TRY(given);
      mask &= *given;
      if (mask.none()) mask = *given;
      if (mask.none()) return format("invalid value \"{}\" in \"worker_cpu_affinity\"", words[1]);
    }
    affinity.masks.push_back(mask);
    return affinity;
  }
  for (std::string_view word : words) {
    auto mask = parse_mask(word);
    FL_TRY(mask);
    affinity.masks.push_back(*mask);
  }
  return affinity;
}

bool set_affinity(const CpuMask& mask) {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  for (size_t cpu = 0; cpu < std::min<size_t>(CPU_SETSIZE, cpus_max); ++cpu) {
    if (mask[cpu]) CPU_SET(cpu, &set);
  }
  return sched_setaffinity(0, sizeof(set), &set) == 0;
#else
  (void)mask;
  errno = ENOSYS;
  return false;
#endif
}

}  // namespace fairlead
