// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Client: what is known of a client's connection whatever engine serves it, from accept on; and what happens on it before any protocol. One
// per connection, in the frame that serves it. The engines derive from it (http::ClientFacts).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/addr.h"
#include "core/base/log.h"
#include "core/base/slots.h"
#include "event/loop/task.h"
#include "event/net/connection.h"
#include "event/net/listen_point.h"

namespace fairlead {

class Worker;
class Generation;

struct Client : LogContext {
  Client(Worker& its_worker, Generation& its_generation, const ListenPoint& listen_point)
      : worker(its_worker), generation(its_generation), point(listen_point), local(listen_point.addr) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Worker& worker;
  Generation& generation;
  const ListenPoint& point;          // the address it came in by
  Connection* connection = nullptr;  // as long as the serving frame lives
  uint64_t number = 0;               // of the connection, for logs
  Addr peer;
  Addr local;                        // resolved when asked for, if the listener is a wildcard
  uint64_t started_ms = 0;
  bool is_debugged = false;          // debug_connection: its lines of every level are logged
  bool is_secure = false;            // over TLS
  std::string_view alpn;             // what the handshake agreed on, "h2"; empty: nothing
  mutable Slots slots;               // what modules keep for the connection, found out later or not
  std::string_view doing;            // for the log: "SSL handshaking"; empty: nothing that needs saying

  // For lines about the connection itself: " while reading PROXY protocol, client: 192.0.2.1, server: 0.0.0.0:80".
  Logger logger() const;
  void append(LogText& to) const override;
};

// Behind a wait for the first bytes of a client: whether there is something to go on with. What came
// between the loop's last look and the end of the wait was not told: it is read here, into a segment
// of `capacity`.
bool goes_on_after(WaitStatus status, Connection& connection, size_t capacity);

// Waits for the client's first byte, as an idle connection of the worker that a drain ends at once. False: nothing came in time; the
// connection is to be closed, silently as nginx does.
Task<bool> await_first_byte(Client& client);

// Runs the connection hooks of the client's listening address (at least one) in order. False: one of them ended the connection.
Task<bool> run_connection_hooks(Client& client);

}  // namespace fairlead
