// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/tcp_facts.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace fairlead::http {

std::optional<TcpFacts> tcp_facts(const Session& session) {
  if (session.client_fd < 0) {
    const TcpFacts* kept = session.connection_slots ? session.connection_slots->find<TcpFacts>() : nullptr;
    return kept ? std::optional(*kept) : std::nullopt;
  }
#if defined(TCP_INFO) && defined(__linux__)
  tcp_info told;
  socklen_t size = sizeof told;
  if (getsockopt(session.client_fd, IPPROTO_TCP, TCP_INFO, &told, &size) == 0)
    return TcpFacts{told.tcpi_rtt, told.tcpi_rttvar, told.tcpi_snd_cwnd, told.tcpi_rcv_space};
#endif
  return std::nullopt;
}

}  // namespace fairlead::http
