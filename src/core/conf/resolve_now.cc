// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/resolve_now.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>

namespace fairlead {

ConfResult<std::vector<Addr>> resolve_now(std::string_view host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = AF_UNSPEC;
  addrinfo* list = nullptr;
  if (getaddrinfo(std::string(host).c_str(), nullptr, &hints, &list) != 0) return std::string("host not found");
  std::vector<Addr> found;
  for (addrinfo* at = list; at; at = at->ai_next) {
    Addr addr = Addr::from_sockaddr(at->ai_addr, at->ai_addrlen);
    addr.set_port(port);
    if (addr.valid() && std::find(found.begin(), found.end(), addr) == found.end()) found.push_back(std::move(addr));
  }
  freeaddrinfo(list);
  if (found.empty()) return std::string("host not found");
  return found;
}

}  // namespace fairlead
