// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/tcp_socket.h"

#include <algorithm>
#include <cerrno>

#include "event/net/connector.h"
#include "event/worker.h"
#include "modules/lua/socket_names.h"

namespace fairlead::lua {

// -- reading --

bool ReadStep::feed(std::string_view unread, size_t& consumed) {
  consumed = 0;
  switch (what_.kind) {
    case Reading::Kind::bytes:
      consumed = std::min(unread.size(), what_.bytes - result.size());
      result.append(unread.substr(0, consumed));
      return result.size() == what_.bytes;
    case Reading::Kind::any:
      consumed = std::min(unread.size(), what_.bytes);
      result.append(unread.substr(0, consumed));
      return consumed > 0;
    case Reading::Kind::all:
      consumed = unread.size();
      result.append(unread);
      return false;
    case Reading::Kind::line: return feed_line(unread, consumed);
    case Reading::Kind::until: return feed_until(unread, consumed);
  }
  return false;
}

// All carriage returns go, wherever in the line.
bool ReadStep::feed_line(std::string_view unread, size_t& consumed) {
  size_t end = unread.find('\n');
  bool whole = end != std::string_view::npos;
  for (char byte : unread.substr(0, end))
    if (byte != '\r') result += byte;
  consumed = whole ? end + 1 : unread.size();
  return whole;
}

// Bytes with which the pattern might begin are left unread until more is known.
bool ReadStep::feed_until(std::string_view unread, size_t& consumed) {
  const std::string& pattern = what_.pattern;
  size_t room = what_.bytes ? what_.bytes - result.size() : SIZE_MAX;
  size_t at = unread.find(pattern);
  if (at != std::string_view::npos && at <= room) {
    // With a size, data that ends right before the pattern is given first, the end by the next call.
    if (what_.bytes && at == room && at > 0) {
      result.append(unread.substr(0, at));
      consumed = at;
      return true;
    }
    result.append(unread.substr(0, what_.inclusive ? at + pattern.size() : at));
    consumed = at + pattern.size();
    if (until_) until_->met = true;
    return true;
  }
  size_t safe = at != std::string_view::npos ? at : unread.size() >= pattern.size() ? unread.size() - pattern.size() + 1 : 0;
  consumed = std::min(safe, room);
  result.append(unread.substr(0, consumed));
  return what_.bytes && result.size() == what_.bytes;
}

// -- pools --

std::unique_ptr<PooledConnection> SocketPools::take(const std::string& name) {
  auto found = pools_.find(name);
  return found == pools_.end() ? nullptr : found->second->idle.take(PoolKey::of(found->first));
}

void SocketPools::put(const std::string& name, std::unique_ptr<PooledConnection> idle, uint64_t idle_ms, size_t size) {
  auto found = pools_.find(name);
  if (found == pools_.end()) {
    found = pools_.emplace(name, std::make_unique<Pool>(worker_.loop(), PoolLimits())).first;
    found->second->size = size;
  }
  PoolLimits limits;
  limits.idle_max = found->second->size;
  limits.idle_timeout_ms = idle_ms ? idle_ms : uint64_t{1} << 40;
  limits.requests_max = limits.age_max_ms = UINT64_MAX;
  found->second->idle.set_limits(limits);
  found->second->idle.put(std::move(idle));
}

// -- the socket --

namespace {

std::string text_of(const Error& error) {
  switch (error.fault) {
    case Fault::timeout: return "timeout";
    case Fault::closed: return "closed";
    default: break;
  }
  return error.sys ? system_text(error.sys) : error.what;
}

}  // namespace

std::string TcpSocket::fail(const Error& error, bool closes) {
  if (closes) connection_.reset();
  return text_of(error);
}

Task<std::string> TcpSocket::connect(ConnectTo to) {
  BusyFlag busy(is_connecting);
  connection_ = worker_.state<SocketPools>().take(to.pool);
  pool_ = to.pool;
  if (connection_) co_return std::string();
  uint64_t deadline = worker_.loop().deadline(timeouts.connect_ms);
  Addr address;
  SocketName name{std::move(to.host), to.port, deadline};
  std::string wrong = co_await find_address(worker_, place_, std::move(name), address);
  if (!wrong.empty()) co_return std::move(wrong);
  PoolKey key = PoolKey::of(pool_);
  auto connected = co_await fairlead::connect(worker_.loop(), address, options, key, deadline);
  if (!connected) co_return text_of(connected.error());
  connection_ = std::move(*connected);
  connection_->count_in(worker_);
  co_return std::string();
}

Task<std::string> TcpSocket::send(Chain bytes) {
  BusyFlag busy(is_writing);
  Task<Result<Unit>> writing = connection_->connection.write(bytes, timeouts.send_ms);
  auto written = co_await writing;
  if (written) co_return std::string();
  writing.reset();
  co_return fail(written.error(), true);
}

// A time-out leaves the socket open: the script may read on.
Task<std::string> TcpSocket::receive(ReadStep& step) {
  BusyFlag busy(is_reading);
  for (;;) {
    Connection& from = connection_->connection;
    size_t consumed;
    bool complete = step.feed(from.unread(), consumed);
    from.consume(consumed);
    if (complete) {
      from.release_if_empty();
      co_return std::string();
    }
    IoResult got = from.fill(std::max(buffer_bytes, from.unread().size() * 2));
    if (got.status == IoStatus::ok) continue;
    if (got.status == IoStatus::end) {
      step.result.append(from.unread());
      connection_.reset();
      co_return "closed";
    }
    if (got.status == IoStatus::failed) {
      step.result.append(from.unread());
      co_return fail(from.error_of(got, "recv() failed"), true);
    }
    WaitStatus status = co_await from.readable(worker_.loop().deadline(timeouts.read_ms));
    if (status == WaitStatus::timeout) co_return "timeout";
  }
}

std::string TcpSocket::keep(uint64_t idle_ms, size_t size) {
  Connection& held = connection_->connection;
  if (!held.unread().empty()) return "unread data in buffer";
  if (held.is_broken()) return "connection in dubious state";
  ++connection_->requests;
  worker_.state<SocketPools>().put(pool_, std::move(connection_), idle_ms, size);
  return {};
}

}  // namespace fairlead::lua
