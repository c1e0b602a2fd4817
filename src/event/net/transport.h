// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Transport: bytes to and from one peer, never waiting. Plain sockets here; TLS and memory pairs have files of their own. What waits is
// the Connection above it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "event/loop/loop.h"

namespace fairlead {

enum class IoStatus : uint8_t { ok, again, end, failed };

struct IoResult {
  IoStatus status;
  size_t bytes = 0;  // with ok: more than 0
  int sys = 0;       // with failed: errno
};

class Transport {
 public:
  virtual ~Transport() = default;
  // At most `room` bytes; `again`: wait for read_wait(); `end`: the peer sends no more.
  virtual IoResult read(char* to, size_t room) = 0;
  // Some or all of the vectors; `again`: wait for write_wait().
  virtual IoResult write(const iovec* vectors, int count) = 0;
  // Some or all of `bytes` of a file, from `offset` on; read and written here, where a transport knows no shorter way. `end`: the file is
  // shorter.
  virtual IoResult send_file(int file, uint64_t offset, size_t bytes);
  // Ends our sending direction; what was written still goes out. A best effort.
  virtual void shutdown_write() = 0;
  // What must become ready before the next read (write) can go on: TLS may need the other direction.
  virtual Direction read_wait() const { return Direction::read; }
  virtual Direction write_wait() const { return Direction::write; }
  // Bytes that were received but not yet read: they need no event to be read.
  virtual bool has_pending() const { return false; }
  virtual bool is_plain() const { return false; }
  // Why the last call failed, where errno does not say it (TLS): lives as long as the process. nullptr: errno does.
  virtual const char* failure_text() const { return nullptr; }
  // The application protocol that a handshake agreed on ("h2"); empty: none. Lives as long as the transport.
  virtual std::string_view alpn() const { return {}; }

  Watch& watch() const { return *watch_; }

 protected:
  explicit Transport(Watch* watch) : watch_(watch) {}
  Watch* watch_;
};

// A connected socket. Owns the descriptor and its watch.
class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(Watch* watch) : Transport(watch) {}
  ~PlainTransport() override;
  IoResult read(char* to, size_t room) override;
  IoResult write(const iovec* vectors, int count) override;
#if defined(__linux__)
  IoResult send_file(int file, uint64_t offset, size_t bytes) override;
#endif
  void shutdown_write() override;
  bool is_plain() const override { return true; }
};

}  // namespace fairlead
