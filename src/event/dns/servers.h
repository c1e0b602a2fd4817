// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The name servers of a resolver, each with a channel of its own: so both questions about a name go to the same one, and it is known which
// of them are silent. What does not fit a datagram is asked over another one, so that what becomes of TCP befalls that question alone.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "event/dns/channel.h"

namespace fairlead {

class DnsServers {
 public:
  // How long one that was silent is not asked first while there are others.
  static constexpr uint64_t rest_ms = 10'000;

  // `addresses`: none for what the system is configured with, which counts as one. `try_timeout_ms`: how long one has for a reply.
  static Result<std::unique_ptr<DnsServers>> open(Loop& loop, std::span<const Addr> addresses, int try_timeout_ms);
  DnsServers(const DnsServers&) = delete;
  DnsServers& operator=(const DnsServers&) = delete;

  size_t count() const { return servers_.size(); }
  DnsChannel& channel(size_t server) { return *servers_[server].channel; }
  // Opened when first asked for; nullptr: it could not be. Not of what the system is configured with.
  DnsChannel* tcp_channel(size_t server);
  // Whom to ask first, in turns; and whom when that one gave nothing.
  size_t first();
  size_t after(size_t server) const { return (server + 1) % servers_.size(); }
  // What became of a question to it.
  void note_silent(size_t server);
  void note_reply(size_t server) { servers_[server].rests_until_ms = 0; }

 private:
  struct Server {
    std::optional<Addr> address;
    std::unique_ptr<DnsChannel> channel, tcp_channel;
    uint64_t rests_until_ms = 0;  // Loop::now_ms
  };
  DnsServers(Loop& loop, int try_timeout_ms) : loop_(loop), try_timeout_ms_(try_timeout_ms) {}

  Loop& loop_;
  int try_timeout_ms_;
  std::vector<Server> servers_;
  size_t turn_ = 0;
};

}  // namespace fairlead
