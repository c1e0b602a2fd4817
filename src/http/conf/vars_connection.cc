// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Variables of the client's connection and of the server that took it, as far as HTTP alone knows them.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "core/conf/session_vars.h"
#include "http/conf/server.h"
#include "http/conf/variables.h"
#include "http/request/client_facts.h"
#include "http/request/request.h"

namespace fairlead::http {
namespace {

Value get_https(Session& session, uintptr_t) { return Value{as_request(session).facts.is_secure ? "on" : ""}; }
Value get_scheme(Session& session, uintptr_t) { return Value{as_request(session).facts.is_secure ? "https" : "http"}; }
// As nginx: "h2" over TLS, "h2c" in the clear, empty for other versions.
Value get_http2(Session& session, uintptr_t) {
  const Request& request = as_request(session);
  if (request.head.version_major != 2) return Value{""};
  return Value{request.facts.is_secure ? "h2" : "h2c"};
}
Value get_server_name(Session& session, uintptr_t) {
  Request& request = as_request(session);
  return request.server ? Value{request.server->name} : Value{};
}
Value get_connection_requests(Session& session, uintptr_t) {
  return number_value(session, as_request(session).origin().connection_requests);
}
Value get_connection_time(Session& session, uintptr_t) {
  Request& request = as_request(session);
  return seconds_value(session, request.loop().now_ms() - request.facts.started_ms);
}
// `p`: the request lay behind the one before it when that was answered.
Value get_pipe(Session& session, uintptr_t) { return Value{as_request(session).is_pipelined ? "p" : "."}; }

#if defined(TCP_INFO) && defined(__linux__)
enum class TcpFact : uintptr_t { rtt, rttvar, snd_cwnd, rcv_space };
Value get_tcp_fact(Session& session, uintptr_t datum) {
  tcp_info facts;
  socklen_t size = sizeof facts;
  if (getsockopt(session.client_fd, IPPROTO_TCP, TCP_INFO, &facts, &size) < 0) return Value::missing();
  switch (static_cast<TcpFact>(datum)) {
    case TcpFact::rtt: return number_value(session, facts.tcpi_rtt);
    case TcpFact::rttvar: return number_value(session, facts.tcpi_rttvar);
    case TcpFact::snd_cwnd: return number_value(session, facts.tcpi_snd_cwnd);
    case TcpFact::rcv_space: return number_value(session, facts.tcpi_rcv_space);
  }
  return Value::missing();
}
template <TcpFact Fact>
constexpr uintptr_t tcp_datum = static_cast<uintptr_t>(Fact);
#endif

constexpr VariableDef connection_variables[] = {
    {"https", get_https, 0, http_variable},
    {"scheme", get_scheme, 0, http_variable},
    {"http2", get_http2, 0, http_variable},
    {"server_name", get_server_name, 0, http_variable},
    {"connection_requests", get_connection_requests, 0, http_variable},
    {"connection_time", get_connection_time, variable_volatile, http_variable},
    {"pipe", get_pipe, 0, http_variable},
#if defined(TCP_INFO) && defined(__linux__)
    {"tcpinfo_rtt", get_tcp_fact, variable_volatile, http_variable, nullptr, tcp_datum<TcpFact::rtt>},
    {"tcpinfo_rttvar", get_tcp_fact, variable_volatile, http_variable, nullptr, tcp_datum<TcpFact::rttvar>},
    {"tcpinfo_snd_cwnd", get_tcp_fact, variable_volatile, http_variable, nullptr, tcp_datum<TcpFact::snd_cwnd>},
    {"tcpinfo_rcv_space", get_tcp_fact, variable_volatile, http_variable, nullptr, tcp_datum<TcpFact::rcv_space>},
#endif
};

}  // namespace

constinit const Module http_connection_variables_module = {
    .name = "http_connection_variables",
    .variables = connection_variables,
};

}  // namespace fairlead::http
