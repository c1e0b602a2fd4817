// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ChildProcess: a program that a script started (ngx.pipe), with its standard streams on pipes. Without Lua. Shared by the userdata of Lua
// and the tasks that work on it; when nobody holds it any more, or the request or timer ends that started it, the program is killed, and
// reaped when it has ended.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "event/loop/loop.h"
#include "event/loop/task.h"
#include "modules/lua/byte_socket.h"
#include "modules/lua/request_state.h"

namespace fairlead {
class Worker;
}

namespace fairlead::lua {

// Our end of one pipe.
class PipeEnd {
 public:
  PipeEnd() = default;
  ~PipeEnd() { close(); }
  PipeEnd(const PipeEnd&) = delete;
  PipeEnd& operator=(const PipeEnd&) = delete;

  // Takes the descriptor. False: it cannot be watched.
  bool open(Loop& loop, int fd);
  void close();
  // Closes it, and ends the call that waits for it with "aborted".
  void shutdown();
  bool is_open() const { return watch_ != nullptr && !is_shut_; }
  // As scripts see the reason; empty: `step` is complete, or all was written. Cancelled where it waits, it closes the pipe.
  Task<std::string> read(ReadStep& step, uint64_t timeout_ms);
  Task<std::string> write(std::string bytes, uint64_t timeout_ms);

  size_t buffer_bytes = 4096;
  bool is_busy = false;

 private:
  Watch* watch_ = nullptr;
  bool is_shut_ = false;
  std::string unread_;
};

class ChildProcess final : public Owned {
 public:
  static constexpr const char* type_name = "fairlead.process";

  struct Program {
    std::vector<std::string> arguments;    // the first names it, looked for in PATH
    std::vector<std::string> environment;  // empty: our own
    bool merges_stderr = false;            // stderr goes where stdout goes
    size_t buffer_bytes = 4096;
  };
  // The reason of a failure; empty: it runs.
  std::string start(Worker& worker, const Program& program);

  ChildProcess() = default;
  ~ChildProcess() { end(); }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Another request may still read, write or wait: its call goes on, and finds that the program has ended.
  void close_for_end() override { end(); }

  pid_t pid() const { return pid_; }
  // Until it has ended, once: then `status` is what waitpid() gives.
  Task<std::string> wait(int& status, uint64_t timeout_ms);
  bool was_reaped() const { return reaped_; }
  bool has_ended() const;
  bool is_waited_for() const { return waiting_; }
  // 0, or the system's error.
  int kill(int signal) const;

  PipeEnd input, output, errors;  // its stdin, stdout and stderr

 private:
  void end();
  Worker* worker_ = nullptr;  // since start()
  Watch* ended_ = nullptr;    // of a descriptor that stands for the process
  pid_t pid_ = -1;
  bool reaped_ = false;
  bool waiting_ = false;
};

}  // namespace fairlead::lua
