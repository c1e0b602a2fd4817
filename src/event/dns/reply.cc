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

Result<DnsReply> parse_dns_reply(std::span<const unsigned char> bytes, DnsType type, size_t addresses_max) {
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
    bool used = true;
    if (ns_rr_type(record) == ns_t_cname) {
      char target[NS_MAXDNAME];
      if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), ns_rr_rdata(record), target, sizeof target) < 0) return malformed();
      aliases.emplace(lower_text(ns_rr_name(record)), lower_text(target));
    } else if (ns_rr_type(record) == static_cast<int>(type)) {
      bool is_a = type == DnsType::a;
      const unsigned char* ip = ns_rr_rdata(record);
      if (ns_rr_rdlen(record) != (is_a ? 4 : 16)) return malformed();
      if (reply.addresses.size() < addresses_max) {
        reply.addresses.push_back(is_a ? Addr::inet(ns_get32(ip) & 0xffffffff, 0) : Addr::inet6(ip, 0));
      }
    } else {
      used = false;
    }
    // RFC 2181 section 8: a TTL with the highest bit set means zero.
    if (used) ttl_s = std::min(ttl_s, ns_rr_ttl(record) > INT32_MAX ? 0u : static_cast<uint32_t>(ns_rr_ttl(record)));
  }
  reply.ttl_s = ttl_s == UINT32_MAX ? 0 : ttl_s;
  if (reply.addresses.empty()) reply.alias = end_of_chain(aliases, asked);
  return reply;
}

}  // namespace fairlead
