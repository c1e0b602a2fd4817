// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ByteSocket: a stream of bytes that a script reads by patterns and writes to, whatever carries it (tcp_socket.h, request_socket.h); and
// one read of it. Without Lua. Shared by the userdata of Lua and the task that works on it; it belongs to the request or run that made
// it and is closed with it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/buffer.h"
#include "core/base/log.h"
#include "event/loop/task.h"
#include "modules/lua/request_state.h"

namespace fairlead {
class Connection;
}

namespace fairlead::lua {

// What a read is to give.
struct Reading {
  enum class Kind : uint8_t { bytes, line, all, any, until } kind = Kind::line;
  size_t bytes = 0;         // of bytes; of any: at most; of until: pieces of this size, 0: whole
  std::string pattern;      // of until
  bool inclusive = false;   // the pattern is given, too
};

// A pattern's reader between its calls.
struct UntilState {
  bool met = false;  // the pattern was met by a call with a size: the next one gives nothing
};

// One read, fed with what arrived. Plain.
class ReadStep {
 public:
  ReadStep(const Reading& what, UntilState* until) : what_(what), until_(until) {}
  // Looks at the unread bytes, says in `consumed` how many of them it took. True: `result` is complete.
  bool feed(std::string_view unread, size_t& consumed);
  Reading::Kind kind() const { return what_.kind; }
  std::string result;

 private:
  bool feed_line(std::string_view unread, size_t& consumed);
  bool feed_until(std::string_view unread, size_t& consumed);
  const Reading& what_;
  UntilState* until_;
};

struct SocketTimeouts {
  uint64_t connect_ms = 60'000, send_ms = 60'000, read_ms = 60'000;
};

class ByteSocket : public Owned, public std::enable_shared_from_this<ByteSocket> {
 public:
  explicit ByteSocket(const void* owner) : owner_(owner) {}
  virtual ~ByteSocket() = default;
  ByteSocket(const ByteSocket&) = delete;
  ByteSocket& operator=(const ByteSocket&) = delete;

  void close_for_end() override {
    close();
    owner_ = nullptr;  // the next request may lie where this one did
  }
  // nullptr: it has ended.
  const void* owner() const { return owner_; }

  virtual bool is_open() const = 0;
  virtual void close() = 0;
  // `step` is complete, or the reason why not, as scripts see it; it keeps what was read so far. A time-out leaves the socket open.
  virtual Task<std::string> receive(ReadStep& step) = 0;
  // Everything is with the kernel (empty), or why not.
  virtual Task<std::string> send(Chain bytes) = 0;

  // As configured; as they hold now.
  SocketTimeouts configured, timeouts;
  size_t buffer_bytes = 4096;
  bool is_connecting = false, is_reading = false, is_writing = false;
  // A read met the end of the stream, or failed: nothing more is read. Writing is another matter, and closing still has to be done.
  bool has_read_all = false;
  // How the system or TLS failed, in the words of the log, until it has been logged; and how much that matters.
  std::string failure;
  bool is_failure_of_tls = false;
  virtual LogLevel failure_level() const { return is_failure_of_tls ? LogLevel::crit : LogLevel::error; }

 private:
  const void* owner_;
};

// How a read or write of a connection came out.
struct StreamOutcome {
  std::string wrong;    // empty: it went well; "error": the socket's `failure` says how
  bool is_over = false;  // the connection cannot be used any more
};
Task<StreamOutcome> receive_from(Connection& from, ByteSocket& socket, ReadStep& step);
Task<StreamOutcome> send_to(Connection& to, ByteSocket& socket, Chain bytes);
// As scripts compare it: "timeout", "closed", "connection refused".
std::string text_of(const Error& error);
// As the log has it: "recv() failed (104: Connection reset by peer)".
std::string log_text_of(const Error& error);

}  // namespace fairlead::lua
