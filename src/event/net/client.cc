// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/client.h"

#include <algorithm>

#include "core/conf/error_log.h"
#include "event/hooks.h"
#include "event/worker.h"

namespace fairlead {

Logger Client::logger() const {
  Logger logger(*conf<ErrorLogConf>(*point.block).log, number, this);
  if (is_debugged) logger.force();
  return logger;
}

void Client::append(LogText& to) const {
  char text[Addr::text_max];
  if (!doing.empty()) to.append_format(" while {}", doing);
  to.append(", client: ");
  to.append({text, static_cast<size_t>(peer.write_host(text) - text)});
  to.append(", server: ");
  to.append({text, static_cast<size_t>(point.addr.write(text) - text)});
}

namespace {
// Counted as waiting, and known to the worker as idle.
class Idle {
 public:
  explicit Idle(Client& client) : row_(client.worker.row()) {
    link_.watch = &client.connection->watch();
    link_.since_ms = client.connection->loop().now_ms();
    link_.is_new = true;
    add_to(row_.waiting);
    client.worker.client_idle(link_);
  }
  ~Idle() { take_from(row_.waiting); }
  Idle(const Idle&) = delete;
  Idle& operator=(const Idle&) = delete;
  uint64_t deadline_ms(const Client& client) const {
    return std::min(client.connection->loop().deadline(client.point.greeting_timeout_ms), client.worker.idle_deadline_ms(link_));
  }

 private:
  WorkerRow& row_;
  IdleClient link_;
};
}  // namespace

bool goes_on_after(WaitStatus status, Connection& connection, size_t capacity) {
  return status == WaitStatus::ready || connection.fill(capacity).status == IoStatus::ok;
}

Task<bool> await_first_byte(Client& client) {
  Connection& connection = *client.connection;
  if (!connection.unread().empty()) co_return true;
  Idle idle(client);
  WaitStatus status = co_await connection.readable(idle.deadline_ms(client));
  constexpr size_t greeting_bytes = 1024;
  co_return goes_on_after(status, connection, greeting_bytes);
}

Task<bool> run_connection_hooks(Client& client) {
  for (const event::ConnectionHook* hook : client.point.hooks) {
    bool goes_on = co_await hook->run(client);
    if (!goes_on) co_return false;
  }
  co_return true;
}

}  // namespace fairlead
