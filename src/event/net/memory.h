// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// MemoryPair: two transports that are connected in memory, for simulations and unit tests: bytes take the time and the
// portions that a script
// says, and the pair can be reset. Behaves as a TCP connection seen through edge-triggered polling (plain.cc). With a
// virtual clock everything that
// happens follows from the script alone. Nothing for production. Each end is owned by its user; the wire between them by both.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "event/net/transport.h"

namespace fairlead {

// What the network does to one direction. The default does nothing: everything fits and arrives at once.
class MemoryScript {
 public:
  virtual ~MemoryScript() = default;
  // How many of `offered` bytes (at least 1) the sender's buffer takes now: 1 to `offered`, or 0: full for some time.
  virtual size_t accept_bytes(size_t offered) { return offered; }
  // How many of `present` bytes (at least 1) the receiver gets in one read: 1 to `present`.
  virtual size_t give_bytes(size_t present) { return present; }
  // Milliseconds until what is written now arrives. Order is kept: nothing overtakes.
  virtual uint64_t delay_ms() { return 0; }
  // Milliseconds until a sender that was told "full" by the script may try again.
  virtual uint64_t full_ms() { return 1; }
};

class MemoryWire;

class MemoryTransport final : public Transport {
 public:
  // Closes: the other end sees the end behind what was written; a reset if bytes for this end were never read, as TCP does.
  ~MemoryTransport() override;
  IoResult read(char* to, size_t room) override;
  IoResult write(const iovec* vectors, int count) override;
  void shutdown_write() override;

  // Aborts: the other end gets ECONNRESET at once and loses what it has not read; so does this one.
  void reset();
  // Bytes written by this end that the other one has not read.
  size_t unread_bytes() const;

 private:
  friend class MemoryPair;
  friend class MemoryWire;
  MemoryTransport(Watch* watch, std::shared_ptr<MemoryWire> wire, int side) : Transport(watch), wire_(std::move(wire)), side_(side) {}
  std::shared_ptr<MemoryWire> wire_;
  int side_;
};

class MemoryPair {
 public:
  // Both ends are writable from the start. `a_to_b` and `b_to_a` (nullptr: no faults) outlive the wire. `buffer_bytes` per direction:
  // unread bytes beyond that stop the sender.
  static MemoryPair make(Loop& loop, MemoryScript* a_to_b = nullptr, MemoryScript* b_to_a = nullptr, size_t buffer_bytes = 65536);
  std::unique_ptr<MemoryTransport> a, b;
};

}  // namespace fairlead
