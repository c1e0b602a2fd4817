// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TcpSocket: a connection that a script opened (ngx.socket.tcp), without Lua: connecting, reading by patterns, sending, and the
// pools of idle
// ones. Shared by the userdata of Lua and the task that works on it; it belongs to the request or run that made it and is closed with it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "event/net/conn_pool.h"
#include "event/net/socket.h"
#include "modules/lua/request_state.h"

namespace fairlead {
class Block;
class Worker;
}  // namespace fairlead

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
  std::string result;

 private:
  bool feed_line(std::string_view unread, size_t& consumed);
  bool feed_until(std::string_view unread, size_t& consumed);
  const Reading& what_;
  UntilState* until_;
};

// Idle connections by the name of their pool; each pool has the size that its first user gave it. State of the worker.
class SocketPools {
 public:
  explicit SocketPools(Worker& worker) : worker_(worker) {}
  std::unique_ptr<PooledConnection> take(const std::string& name);
  void put(const std::string& name, std::unique_ptr<PooledConnection> idle, uint64_t idle_ms, size_t size);

 private:
  struct Pool {
    Pool(Loop& loop, const PoolLimits& limits) : idle(loop, limits) {}
    ConnPool idle;
    size_t size = 0;
  };
  Worker& worker_;
  std::unordered_map<std::string, std::unique_ptr<Pool>> pools_;
};

struct SocketTimeouts {
  uint64_t connect_ms = 60'000, send_ms = 60'000, read_ms = 60'000;
};

struct ConnectTo {
  std::string host;     // as given; or "unix:/path"
  uint16_t port = 0;
  std::string pool;     // the name of the pool
};

class TcpSocket final : public Owned {
 public:
  // `owner`: the request or run; `place`: whose `resolver` is asked.
  TcpSocket(Worker& worker, const Block& place, const void* owner) : worker_(worker), place_(place), owner_(owner) {}
  ~TcpSocket() = default;
  void close_for_end() override {
    connection_.reset();
    owner_ = nullptr;  // the next request may lie where this one did
  }

  // The reason of a failure, as scripts see it; empty: it went well.
  Task<std::string> connect(ConnectTo to);
  // Everything is with the kernel, or why not.
  Task<std::string> send(Chain bytes);
  // `step` is complete, or why not; it keeps what was read so far.
  Task<std::string> receive(ReadStep& step);
  // Into its pool; empty: done.
  std::string keep(uint64_t idle_ms, size_t size);

  bool is_open() const { return connection_ != nullptr; }
  void close() { connection_.reset(); }
  // nullptr: it has ended.
  const void* owner() const { return owner_; }
  uint64_t reused() const { return connection_->requests; }
  Connection& connection() { return connection_->connection; }

  SocketTimeouts timeouts;
  ConnectOptions options;
  size_t buffer_bytes = 4096;
  bool is_connecting = false, is_reading = false, is_writing = false;

 private:
  std::string fail(const Error& error, bool closes);

  Worker& worker_;
  const Block& place_;
  const void* owner_;
  std::string pool_;
  std::unique_ptr<PooledConnection> connection_;
};

}  // namespace fairlead::lua
