// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// From the bytes of a DNS reply to addresses or services, TTL and the name to ask next. Pure: bytes in, values out. The reading
// of records is libresolv's. Which reply belongs to which question is c-ares' affair.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/addr.h"
#include "core/base/error.h"

namespace fairlead {

enum class DnsType : uint16_t { a = 1, aaaa = 28, srv = 33 };

// An SRV record (RFC 2782).
struct DnsService {
  uint16_t priority = 0, weight = 0, port = 0;
  std::string target;  // lower case
};

struct DnsReply {
  std::vector<Addr> addresses;  // with port 0
  std::vector<DnsService> services;
  uint32_t ttl_s = 0;           // the least of all records used, aliases included
  std::string alias;            // without any of the two: the name that the chain of CNAMEs ends with, else empty
  bool is_empty() const { return addresses.empty() && services.empty(); }
};

// The sender left something out that did not fit a datagram: the TC bit.
bool is_truncated(std::span<const unsigned char> bytes);

// The answer section of `bytes` for a question of `type`; records of another type and further sections are not looked at. Fault::malformed
// if it cannot be read to its end. The 64 KiB that a message has at most are the only limit to the number of records.
Result<DnsReply> parse_dns_reply(std::span<const unsigned char> bytes, DnsType type);

}  // namespace fairlead
