// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/dns/servers.h"

#include <algorithm>

namespace fairlead {

Result<std::unique_ptr<DnsServers>> DnsServers::open(Loop& loop, std::span<const Addr> addresses, int try_timeout_ms) {
  std::unique_ptr<DnsServers> made(new DnsServers(loop));
  for (size_t i = 0; i < std::max<size_t>(addresses.size(), 1); ++i) {
    auto channel = DnsChannel::open(loop, addresses.empty() ? nullptr : &addresses[i], try_timeout_ms);
    if (!channel) return channel.error();
    made->servers_.push_back({std::move(*channel)});
  }
  return made;
}

size_t DnsServers::first() {
  size_t server = turn_;
  for (size_t i = 0; i < count() && servers_[server].rests_until_ms > loop_.now_ms(); ++i) server = after(server);
  turn_ = after(server);
  return server;
}

void DnsServers::note_silent(size_t server) { servers_[server].rests_until_ms = loop_.now_ms() + rest_ms; }

}  // namespace fairlead
