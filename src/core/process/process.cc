// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "core/base/format.h"
#include "core/process/title.h"

namespace fairlead {
namespace {

std::string failed(const char* call) {
  int err = errno;
  char buffer[128];
  return format("{} failed ({}: {})", call, err, strerror_r(err, buffer, sizeof(buffer)));
}

void set_limit(int resource, const char* name, std::optional<uint64_t> value, const Logger& log) {
  if (!value) return;
  rlimit limit = {static_cast<rlim_t>(*value), static_cast<rlim_t>(*value)};
  if (setrlimit(static_cast<decltype(RLIMIT_NOFILE)>(resource), &limit) < 0) {
    log.alert(Errno{errno}, "setrlimit({}, {}) failed", name, *value);
  }
}

#if defined(__linux__)
// CAP_NET_RAW alone: enough for IP_TRANSPARENT.
bool keep_raw_sockets(const Logger& log) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  sets[0].effective = sets[0].permitted = uint32_t{1} << CAP_NET_RAW;
  if (syscall(SYS_capset, &header, sets) == 0) return true;
  log.emerg(Errno{errno}, "capset() failed");
  return false;
}
#endif

bool change_identity(const ProcessSettings& settings, const Logger& log) {
  if (geteuid() != 0 || settings.user_name.empty()) return true;
  if (setgid(settings.group) < 0) {
    log.emerg(Errno{errno}, "setgid({}) failed", settings.group);
    return false;
  }
  if (setgroups(settings.groups.size(), settings.groups.data()) < 0) {
    log.emerg(Errno{errno}, "initgroups({}, {}) failed", settings.user_name, settings.group);
  }
#if defined(__linux__)
  bool keep = settings.transparent && settings.user != 0;
  if (keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) {
    log.emerg(Errno{errno}, "prctl(PR_SET_KEEPCAPS, 1) failed");
    return false;
  }
#endif
  if (setuid(settings.user) < 0) {
    log.emerg(Errno{errno}, "setuid({}) failed", settings.user);
    return false;
  }
#if defined(__linux__)
  if (keep && !keep_raw_sockets(log)) return false;
#endif
  return true;
}

void bind_to_cpu(const ProcessSettings& settings, unsigned slot, const Logger& log) {
  CpuMask mask = settings.affinity.of(slot);
  if (mask.none()) return;
  for (size_t cpu = 0; cpu < mask.size(); ++cpu) {
    if (mask[cpu]) log.notice("sched_setaffinity(): using cpu #{}", cpu);
  }
  if (!set_affinity(mask)) log.alert(Errno{errno}, "sched_setaffinity() failed");
}

}  // namespace

ConfResult<Identity> find_identity(const std::string& user, const std::string& group) {
  const passwd* account = getpwnam(user.c_str());
  if (!account) return format("getpwnam(\"{}\") failed", user);
  Identity identity = {account->pw_uid, account->pw_gid, {}};
  const ::group* members = getgrnam(group.empty() ? user.c_str() : group.c_str());
  if (members) identity.group = members->gr_gid;
  else if (!group.empty()) return format("getgrnam(\"{}\") failed", group);
  int count = 16;
  do identity.groups.resize(static_cast<size_t>(count));
  while (getgrouplist(user.c_str(), identity.group, identity.groups.data(), &count) < 0);
  identity.groups.resize(static_cast<size_t>(count));
  return identity;
}

ConfResult<Daemon> Daemon::detach() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return failed("pipe2()");
  pid_t child = fork();
  if (child < 0) return failed("fork()");
  if (child > 0) {
    close(ends[1]);
    char word = 0;
    if (read(ends[0], &word, 1) == 1) _exit(0);
    int status = 0;
    bool ended = waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 0;
    _exit(ended ? WEXITSTATUS(status) : 1);
  }
  close(ends[0]);
  Daemon self;
  self.pipe_ = ends[1];
  if (setsid() < 0) return failed("setsid()");
  umask(0);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return failed("open(\"/dev/null\")");
  if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0) return failed("dup2()");
  if (null > STDERR_FILENO) close(null);
  return self;
}

void Daemon::ready() {
  if (pipe_ < 0) return;
  [[maybe_unused]] ssize_t told = write(pipe_, "", 1);  // a parent that was killed meanwhile misses nothing
  close(pipe_);
  pipe_ = -1;
}

bool enter_worker(const ProcessSettings& settings, unsigned slot, const Logger& log) {
  replace_environment(filtered_environment(settings.environment, current_environment()));
  if (settings.priority != 0 && setpriority(PRIO_PROCESS, 0, settings.priority) < 0) {
    log.alert(Errno{errno}, "setpriority({}) failed", settings.priority);
  }
  set_limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", settings.open_files_max, log);
  set_limit(RLIMIT_CORE, "RLIMIT_CORE", settings.core_bytes_max, log);
  if (!settings.is_agent(slot)) {
    if (!change_identity(settings, log)) return false;
    bind_to_cpu(settings, slot, log);
  }
#if defined(__linux__)
  // A change of identity forbids core dumps; here they are wanted, as the operator's limit says.
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0) log.alert(Errno{errno}, "prctl(PR_SET_DUMPABLE) failed");
#endif
  if (!settings.working_directory.empty() && chdir(settings.working_directory.c_str()) < 0) {
    log.alert(Errno{errno}, "chdir(\"{}\") failed", settings.working_directory);
    return false;
  }
  return true;
}

ConfResult<Unit> make_folder(std::string_view path, uid_t user) {
  std::string name(path);
  if (mkdir(name.c_str(), 0700) < 0 && errno != EEXIST) return format("mkdir() \"{}\" failed ({}: {})", name, errno, strerror(errno));
  struct stat now;
  if (geteuid() != 0 || user == static_cast<uid_t>(-1) || stat(name.c_str(), &now) < 0 || now.st_uid == user) return Unit();
  if (chown(name.c_str(), user, static_cast<gid_t>(-1)) < 0)
    return format("chown(\"{}\", {}) failed ({}: {})", name, user, errno, strerror(errno));
  return Unit();
}

void reopen_log_file(FileSink& file, uid_t user, const Logger& log) {
  auto opened = file.open();
  if (!opened) {
    log.emerg("{}", opened.error());
    return;
  }
  struct stat now;
  if (geteuid() != 0 || user == static_cast<uid_t>(-1) || fstat(file.descriptor(), &now) < 0) return;
  if (now.st_uid != user && fchown(file.descriptor(), user, static_cast<gid_t>(-1)) < 0) {
    log.emerg(Errno{errno}, "chown(\"{}\", {}) failed", file.path(), user);
  }
  mode_t wanted = now.st_mode | S_IRUSR | S_IWUSR;
  if (wanted != now.st_mode && fchmod(file.descriptor(), wanted & 07777) < 0) {
    log.emerg(Errno{errno}, "chmod() \"{}\" failed", file.path());
  }
}

void fill_standard_descriptors() {
  for (int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(standard, F_GETFD) < 0) (void)open("/dev/null", O_RDWR);  // the lowest number that is free
  }
}

std::string executable_path(const std::string& argument0) {
  if (argument0.find('/') != std::string::npos) return argument0;
  char path[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  return size > 0 && size < PATH_MAX ? std::string(path, static_cast<size_t>(size)) : argument0;
}

}  // namespace fairlead
