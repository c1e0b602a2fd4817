// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/dns/reply.h"

#include <arpa/nameser.h>
#include <netinet/in.h>

#include <algorithm>
#include <map>

#include "core/base/text.h"

namespace fairlead {

static std::string lower_text(const char* name) {
  std::string text(name);
  lower_into(text.data(), text);
  return text;
}

// Follows the aliases from the question's name. A chain that does not start there, or runs in a circle, leads nowhere.
static std::string end_of_chain(const std::map<std::string, std::string>& aliases, std::string name) {
  std::string end;
  for (size_t steps = 0; steps < aliases.size(); ++steps) {
    auto next = aliases.find(name);
    if (next == aliases.end()) return end;
    end = name = next->second;
  }
  return aliases.count(name) ? std::string() : end;
}

static Error malformed() { return Error{Fault::malformed, Side::upstream, 0, "malformed DNS reply"}; }

// What one record adds to the reply. False: its content is none of its type.
static bool take_address(const ns_rr& record, DnsType type, DnsReply& reply) {
  const unsigned char* ip = ns_rr_rdata(record);
  if (ns_rr_rdlen(record) != (type == DnsType::a ? 4 : 16)) return false;
  reply.addresses.push_back(type == DnsType::a ? Addr::inet(ns_get32(ip) & 0xffffffff, 0) : Addr::inet6(ip, 0));
  return true;
}

// RFC 2782: a target that is the root means that there is no such service.
static bool take_service(const ns_msg& message, const ns_rr& record, DnsReply& reply) {
  constexpr size_t numbers_bytes = 6;
  const unsigned char* at = ns_rr_rdata(record);
  char target[NS_MAXDNAME];
  if (ns_rr_rdlen(record) <= numbers_bytes) return false;
  if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), at + numbers_bytes, target, sizeof target) < 0) return false;
  DnsService service;
  service.priority = static_cast<uint16_t>(ns_get16(at));
  service.weight = static_cast<uint16_t>(ns_get16(at + 2));
  service.port = static_cast<uint16_t>(ns_get16(at + 4));
  service.target = lower_text(target);
  if (!service.target.empty() && service.target != ".") reply.services.push_back(std::move(service));
  return true;
}

bool is_truncated(std::span<const unsigned char> bytes) {
  constexpr size_t flags_at = 2;
  constexpr unsigned char truncated = 0x02;
  return bytes.size() > flags_at && (bytes[flags_at] & truncated) != 0;
}

Result<DnsReply> parse_dns_reply(std::span<const unsigned char> bytes, DnsType type) {
  ns_msg message;
  ns_rr record;
  if (bytes.size() > NS_MAXMSG || ns_initparse(bytes.data(), static_cast<int>(bytes.size()), &message) < 0) return malformed();
  if (ns_msg_count(message, ns_s_qd) != 1 || ns_parserr(&message, ns_s_qd, 0, &record) < 0) return malformed();
  std::string asked = lower_text(ns_rr_name(record));
  std::map<std::string, std::string> aliases;
  DnsReply reply;
  uint32_t ttl_s = UINT32_MAX;
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    if (ns_parserr(&message, ns_s_an, i, &record) < 0) return malformed();
    if (ns_rr_class(record) != ns_c_in) continue;
    if (ns_rr_type(record) == ns_t_cname) {
      char target[NS_MAXDNAME];
      if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), ns_rr_rdata(record), target, sizeof target) < 0) return malformed();
      aliases.emplace(lower_text(ns_rr_name(record)), lower_text(target));
    } else if (ns_rr_type(record) == static_cast<int>(type)) {
      bool is_taken = type == DnsType::srv ? take_service(message, record, reply) : take_address(record, type, reply);
      if (!is_taken) return malformed();
    } else {
      continue;
    }
    // RFC 2181 section 8: a TTL with the highest bit set means zero.
    ttl_s = std::min(ttl_s, ns_rr_ttl(record) > INT32_MAX ? 0u : static_cast<uint32_t>(ns_rr_ttl(record)));
  }
  reply.ttl_s = ttl_s == UINT32_MAX ? 0 : ttl_s;
  if (reply.is_empty()) reply.alias = end_of_chain(aliases, asked);
  return reply;
}

}  // namespace fairlead
