// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/forwarded.h"

#include <algorithm>

#include "core/base/text.h"

namespace fairlead {

std::optional<Addr> parse_forwarded_addr(std::string_view text) {
  if (auto plain = Addr::parse_ip(text)) return plain;
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::optional<uint64_t> port = parse_decimal(text.substr(colon + 1));
  if (!port || *port > 65535) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  std::optional<Addr> addr = Addr::parse_ip(host);
  if (!addr || (addr->family() == Addr::Family::inet6) != bracketed) return std::nullopt;
  addr->set_port(static_cast<uint16_t>(*port));
  return addr;
}

static constexpr std::string_view separators = ", ";

Addr forwarded_addr(const Addr& peer, std::string_view list, std::span<const Cidr> trusted, bool recursive) {
  Addr addr = peer;
  do {
    if (std::none_of(trusted.begin(), trusted.end(), [&](const Cidr& network) { return network.contains(addr); })) break;
    size_t last = list.find_last_not_of(separators);
    if (last == std::string_view::npos) break;
    list = list.substr(0, last + 1);
    size_t before = list.find_last_of(separators);
    size_t begin = before == std::string_view::npos ? 0 : before + 1;
    std::optional<Addr> next = parse_forwarded_addr(list.substr(begin));
    if (!next) break;
    addr = *next;
    list = list.substr(0, begin);
  } while (recursive);
  return addr;
}

}  // namespace fairlead
