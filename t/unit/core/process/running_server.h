// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A tiny server (tiny_server.h) at work, for tests: its folder, its start by executing this very binary, what it answers, its end. The
// test process is the reaper of daemons, so that none is left behind.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "core/base/addr.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/process/pid_file.h"
#include "core/process/small_file.h"

namespace fairlead::tiny {

inline uint64_t now_us() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

// Until `done()`, at most `ms`; gives the last answer.
template <class Done>
auto eventually(Done done, uint64_t ms = 20'000) {
  uint64_t end = now_us() + ms * 1000;
  for (;;) {
    auto answer = done();
    if (answer || now_us() > end) return answer;
    poll(nullptr, 0, 2);
  }
}

inline Addr free_port(std::string_view host) {
  Addr addr = *Addr::parse_ip(host);
  sockaddr_storage where;
  socklen_t size = addr.to_sockaddr(where);
  int probe = socket(where.ss_family, SOCK_STREAM, 0);
  EXPECT_EQ(bind(probe, reinterpret_cast<sockaddr*>(&where), size), 0);
  size = sizeof(where);
  getsockname(probe, reinterpret_cast<sockaddr*>(&where), &size);
  close(probe);
  return Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&where), size);
}

struct Answer {
  pid_t pid = 0;  // 0: no connection, or closed without a word
  unsigned slot = 0;
  uint64_t generation = 0;
  std::string kept;
  explicit operator bool() const { return pid != 0; }
};

// Connects, and waits at most so long for the reply.
inline Answer ask(const Addr& addr, int seconds = 10) {
  sockaddr_storage where;
  socklen_t size = addr.to_sockaddr(where);
  int client = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval limit = {seconds, 0};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  std::string text;
  if (connect(client, reinterpret_cast<sockaddr*>(&where), size) == 0) {
    char piece[200];
    for (ssize_t got; (got = recv(client, piece, sizeof(piece), 0)) > 0;) text.append(piece, static_cast<size_t>(got));
  }
  close(client);
  Answer answer;
  char kept[100] = "";
  if (sscanf(text.c_str(), "%d %u %lu %99s", &answer.pid, &answer.slot, &answer.generation, kept) < 3) return {};
  answer.kept = kept;
  return answer;
}

class RunningServer {
 public:
  RunningServer() {
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    char name[] = "/tmp/fairlead-process-XXXXXX";
    folder = std::string(mkdtemp(name)) + "/";
    chmod(folder.c_str(), 0755);
    // An address of its own: nobody else takes the port between the probe and the server.
    ip = free_port(format("127.{}.{}.3", 1 + getpid() / 250 % 250, getpid() % 250));
  }
  ~RunningServer() {
    for (pid_t pid : {pid_in("pid.oldbin"), pid_in("pid"), started}) {
      std::string words = read_small_file(format("/proc/{}/cmdline", pid)).value_or("");
      if (words.find(folder) == std::string::npos) continue;  // gone, and its number perhaps another's
      kill(pid, SIGTERM);
      EXPECT_TRUE(gone(pid)) << pid;
    }
    while (waitpid(-1, nullptr, WNOHANG) > 0) continue;
    std::string command = "rm -rf " + folder;
    EXPECT_EQ(system(command.c_str()), 0);
  }

  void write_conf(const std::string& text) { ASSERT_TRUE(replace_file(folder + "conf", text)); }
  std::string listen() const { return "listen " + ip.text() + "\n"; }

  // Executes the server; gives the pid of what was executed.
  pid_t start(std::vector<std::string> more = {}, std::string binary = "/proc/self/exe") {
    char path[4096];
    if (binary == "/proc/self/exe") binary.assign(path, static_cast<size_t>(readlink("/proc/self/exe", path, sizeof(path))));
    std::vector<std::string> words = {binary, "-p", folder, "-c", folder + "conf"};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = fork();
    if (pid > 0) return pid;
    int out = open((folder + "output").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(out, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  // In the foreground, until the pid file is there.
  void serve(const std::string& conf) {
    write_conf("daemon off\n" + conf);
    started = start();
    ASSERT_TRUE(eventually([&] { return pid_in("pid") == started; })) << output() << log();
  }
  // As a daemon: the exit status of the start. The master's pid is `master()`.
  int serve_as_daemon(const std::string& conf) {
    write_conf("daemon on\n" + conf);
    return status_of(start());
  }
  // `-s NAME`: its exit status.
  int tell(const std::string& name, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"-s", name});
    return status_of(start(more));
  }

  static int status_of(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  // Whether the process ends in time.
  static bool gone(pid_t pid, uint64_t ms = 20'000) {
    return eventually([&] { return waitpid(pid, nullptr, WNOHANG) != 0 && kill(pid, 0) < 0; }, ms);
  }

  std::string read(const std::string& name) const { return read_small_file(folder + name).value_or(""); }
  std::string log() const { return read("error.log"); }
  std::string output() const { return read("output"); }
  bool logged(const std::string& text) {
    return eventually([&] { return log().find(text) != std::string::npos; });
  }
  bool exists(const std::string& name) const { return access((folder + name).c_str(), F_OK) == 0; }
  pid_t pid_in(const std::string& name) const {
    std::string text = read(name);
    return static_cast<pid_t>(text.ends_with("\n") ? parse_decimal(trim_line(text)).value_or(0) : 0);
  }
  pid_t master() const { return pid_in("pid"); }
  ServerStatus status() const { return read_status(folder + "pid").value_or(ServerStatus()); }

  std::string folder;
  Addr ip;
  pid_t started = 0;
};

}  // namespace fairlead::tiny
