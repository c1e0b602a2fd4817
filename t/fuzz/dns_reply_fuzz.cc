// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Replies of a name server: whatever the bytes, what is read is of the type asked for and an alias is a name that can be asked.
#include <cstddef>
#include <cstdint>

#include "event/dns/reply.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace fairlead;
  for (DnsType type : {DnsType::a, DnsType::aaaa, DnsType::srv}) {
    auto reply = parse_dns_reply({bytes, size}, type);
    if (!reply) continue;
    FL_ASSERT(reply->ttl_s <= INT32_MAX);
    FL_ASSERT(reply->is_empty() || reply->alias.empty());
    FL_ASSERT((type == DnsType::srv ? reply->addresses.size() : reply->services.size()) == 0);
    for (const DnsService& each : reply->services) FL_ASSERT(!each.target.empty());
    for (const Addr& each : reply->addresses) FL_ASSERT((each.family() == Addr::Family::inet) == (type == DnsType::a));
  }
  return 0;
}
