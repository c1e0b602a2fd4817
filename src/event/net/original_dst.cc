// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/original_dst.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fairlead {

std::optional<Addr> redirected_from(int fd) {
#if defined(__linux__)
  constexpr int original_destination = 80;  // SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST: linux/netfilter_ipv4.h, ip6_tables.h
  for (int level : {SOL_IP, SOL_IPV6}) {
    sockaddr_storage storage;
    socklen_t size = sizeof storage;
    if (getsockopt(fd, level, original_destination, &storage, &size) == 0)
      return Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size);
  }
#else
  (void)fd;
#endif
  return std::nullopt;
}

bool is_own_listener(const Addr& to, const Addr& bound, const Addr& reached) {
  Addr plain = to.unmapped(), own = reached.unmapped();
  if (plain == bound.unmapped() || plain == own) return true;
  if (!bound.is_wildcard() || plain.port() != bound.port()) return false;
  bool loopback = plain.family() == Addr::Family::inet && static_cast<unsigned char>(plain.bytes()[0]) == 127;
  return loopback || plain.same_host(own);
}

bool is_host_address(Addr addr) {
  addr.set_port(0);
  sockaddr_storage storage;
  socklen_t size = addr.to_sockaddr(storage);
  int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  bool is_bound = bind(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0;
  close(fd);
  return is_bound || errno != EADDRNOTAVAIL;
}

}  // namespace fairlead
