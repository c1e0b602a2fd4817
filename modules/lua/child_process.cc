// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "event/loop/nursery.h"
#include "event/worker.h"
#include "modules/lua/if_cancelled.h"
#include "modules/lua/socket_names.h"

extern char** environ;

namespace fairlead::lua {

// -- one pipe --

bool PipeEnd::open(Loop& loop, int fd) {
  auto watch = loop.watch(fd, PollMode::edge);
  if (watch) watch_ = *watch;
  else ::close(fd);
  return static_cast<bool>(watch);
}

void PipeEnd::close() {
  if (!watch_) return;
  int fd = watch_->fd();
  Watch* watch = std::exchange(watch_, nullptr);
  watch->loop().unwatch(watch);
  ::close(fd);
}

void PipeEnd::shutdown() {
  if (!is_busy) return close();
  is_shut_ = true;
  watch_->loop().raise(*watch_, true, true, false);
}

Task<std::string> PipeEnd::read(ReadStep& step, uint64_t timeout_ms) {
  BusyFlag busy(is_busy);
  uint64_t deadline = watch_->loop().deadline(timeout_ms);
  for (;;) {
    size_t consumed;
    bool complete = step.feed(unread_, consumed);
    unread_.erase(0, consumed);
    if (complete) co_return std::string();
    size_t before = unread_.size();
    unread_.resize(before + buffer_bytes);
    ssize_t got = ::read(watch_->fd(), unread_.data() + before, buffer_bytes);
    int reason = errno;
    unread_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0 || (got < 0 && reason == EINTR)) continue;
    if (got < 0 && reason == EAGAIN) {
      watch_->set_ready(Direction::read, false);
      IfCancelled cancelled([this] { close(); });
      WaitStatus status = co_await IoWait(*watch_, Direction::read, deadline);
      cancelled.pass();
      if (is_shut_) close();
      if (is_shut_) co_return "aborted";
      if (status == WaitStatus::timeout) co_return "timeout";
      continue;
    }
    step.result.append(std::exchange(unread_, std::string()));
    close();
    co_return got == 0 ? "closed" : system_text(reason);
  }
}

Task<std::string> PipeEnd::write(std::string bytes, uint64_t timeout_ms) {
  BusyFlag busy(is_busy);
  uint64_t deadline = watch_->loop().deadline(timeout_ms);
  for (size_t done = 0; done < bytes.size();) {
    ssize_t sent = ::write(watch_->fd(), bytes.data() + done, bytes.size() - done);
    if (sent >= 0) {
      done += static_cast<size_t>(sent);
      continue;
    }
    int reason = errno;
    if (reason == EINTR) continue;
    if (reason != EAGAIN) {
      close();
      co_return reason == EPIPE ? "closed" : system_text(reason);
    }
    watch_->set_ready(Direction::write, false);
    IfCancelled cancelled([this] { close(); });
    WaitStatus status = co_await IoWait(*watch_, Direction::write, deadline);
    cancelled.pass();
    if (is_shut_) close();
    if (is_shut_) co_return "aborted";
    if (status == WaitStatus::timeout) co_return "timeout";
  }
  co_return std::string();
}

// -- the process --

namespace {

// Both ends of a pipe, ours not blocking; what was not taken is closed.
struct Pipe {
  int read = -1, write = -1;
  ~Pipe() {
    if (read >= 0) ::close(read);
    if (write >= 0) ::close(write);
  }
  bool make(bool we_read) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read = ends[0];
    write = ends[1];
    return fcntl(we_read ? read : write, F_SETFL, O_NONBLOCK) == 0;
  }
};

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// 0, or the system's error. The child has the default signals and none blocked.
int spawn(pid_t& pid, const ChildProcess::Program& program, const Pipe& in, const Pipe& out, const Pipe& err) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in.read, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out.write, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, program.merges_stderr ? out.write : err.write, STDERR_FILENO);
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setsigdefault(&how, &all);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments = pointers_to(program.arguments), environment = pointers_to(program.environment);
  int failed = posix_spawnp(&pid, arguments[0], &files, &how, arguments.data(),
                            program.environment.empty() ? environ : environment.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&how);
  return failed;
}

}  // namespace

std::string ChildProcess::start(Worker& worker, const Program& program) {
  worker_ = &worker;
  Loop& loop = worker.loop();
  Pipe in, out, err;
  bool piped = in.make(false) && out.make(true) && (program.merges_stderr || err.make(true));
  if (!piped) return system_text(errno);
  int failed = spawn(pid_, program, in, out, err);
  if (failed) {
    pid_ = -1;
    return system_text(failed);
  }
  auto descriptor = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0u));  // glibc 2.36 declares pidfd_open() for C alone
  auto watch = descriptor < 0 ? Result<Watch*>(Error::from_errno(errno, "pidfd_open() failed")) : loop.watch(descriptor, PollMode::edge);
  if (watch) ended_ = *watch;
  else if (descriptor >= 0) ::close(descriptor);
  bool opened = watch && input.open(loop, std::exchange(in.write, -1)) && output.open(loop, std::exchange(out.read, -1)) &&
                (program.merges_stderr || errors.open(loop, std::exchange(err.read, -1)));
  if (!opened) return "cannot watch the process";
  output.buffer_bytes = errors.buffer_bytes = program.buffer_bytes;
  return {};
}

// Those that were killed and have not ended yet. State of the worker; whom it leaves behind, init reaps.
struct KilledPrograms {
  explicit KilledPrograms(Worker& worker) : loop(worker.loop()), reaping(loop) {}
  Loop& loop;
  Nursery reaping;
};

// One that is killed has ended a moment later, as a rule; the kernel may hold it for longer (a file system that does not answer), and the
// worker must not wait for that.
static Task<Unit> reap(Loop& loop, pid_t pid) {
  constexpr uint64_t pause_max_ms = 1000;
  int status;
  for (uint64_t pause_ms = 1; waitpid(pid, &status, WNOHANG) == 0; pause_ms = std::min(pause_ms * 2, pause_max_ms))
    co_await Sleep(loop, pause_ms);
  co_return Unit();
}

void ChildProcess::end() {
  for (PipeEnd* each : {&input, &output, &errors})
    if (!each->is_busy) each->close();
  if (pid_ > 0 && !reaped_) ::kill(pid_, SIGKILL);
  if (waiting_) return;  // whoever waits reaps it
  if (pid_ > 0 && !std::exchange(reaped_, true)) {
    auto& killed = worker_->state<KilledPrograms>();
    killed.reaping.spawn(reap(killed.loop, pid_));
  }
  Watch* watch = std::exchange(ended_, nullptr);
  if (!watch) return;
  int descriptor = watch->fd();
  watch->loop().unwatch(watch);
  ::close(descriptor);
}

Task<std::string> ChildProcess::wait(int& status, uint64_t timeout_ms) {
  BusyFlag busy(waiting_);
  uint64_t deadline = ended_->loop().deadline(timeout_ms);
  for (;;) {
    pid_t ended = waitpid(pid_, &status, WNOHANG);
    if (ended == pid_) {
      reaped_ = true;
      co_return std::string();
    }
    if (ended < 0 && errno != EINTR) co_return system_text(errno);
    ended_->set_ready(Direction::read, false);
    WaitStatus waited = co_await IoWait(*ended_, Direction::read, deadline);
    if (waited == WaitStatus::timeout) co_return "timeout";
  }
}

bool ChildProcess::has_ended() const {
  siginfo_t ended;
  ended.si_pid = 0;
  return reaped_ || (waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == pid_);
}

int ChildProcess::kill(int signal) const { return ::kill(pid_, signal) == 0 ? 0 : errno; }

}  // namespace fairlead::lua
