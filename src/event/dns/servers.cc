// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/dns/servers.h"

#include <algorithm>

namespace fairlead {

Result<std::unique_ptr<DnsServers>> DnsServers::open(Loop& loop, std::span<const Addr> addresses, int try_timeout_ms) {
  std::unique_ptr<DnsServers> made(new DnsServers(loop, try_timeout_ms));
  for (size_t i = 0; i < std::max<size_t>(addresses.size(), 1); ++i) {
    Server server;
    if (!addresses.empty()) server.address = addresses[i];
    auto channel = DnsChannel::open(loop, server.address ? &*server.address : nullptr, DnsChannel::Over::udp, try_timeout_ms);
    if (!channel) return channel.error();
    server.channel = std::move(*channel);
    made->servers_.push_back(std::move(server));
  }
  return made;
}

DnsChannel* DnsServers::tcp_channel(size_t server) {
  Server& of = servers_[server];
  FL_ASSERT(of.address);
  if (of.tcp_channel) return of.tcp_channel.get();
  auto channel = DnsChannel::open(loop_, &*of.address, DnsChannel::Over::tcp, try_timeout_ms_);
  if (!channel) return nullptr;
  of.tcp_channel = std::move(*channel);
  return of.tcp_channel.get();
}

size_t DnsServers::first() {
  size_t server = turn_;
  for (size_t i = 0; i < count() && servers_[server].rests_until_ms > loop_.now_ms(); ++i) server = after(server);
  turn_ = after(server);
  return server;
}

void DnsServers::note_silent(size_t server) { servers_[server].rests_until_ms = loop_.now_ms() + rest_ms; }

}  // namespace fairlead
