// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Variables of the client's connection and of the server that took it, as far as HTTP alone knows them.
#include "core/conf/session_vars.h"
#include "http/conf/server.h"
#include "http/conf/variables.h"
#include "http/request/client_facts.h"
#include "http/request/request.h"
#include "http/request/tcp_facts.h"

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

template <uint32_t TcpFacts::*Fact>
Value get_tcp_fact(Session& session, uintptr_t) {
  std::optional<TcpFacts> facts = tcp_facts(session);
  return facts ? number_value(session, (*facts).*Fact) : Value::missing();
}

constexpr VariableDef connection_variables[] = {
    {"https", get_https, 0, http_variable},
    {"scheme", get_scheme, 0, http_variable},
    {"http2", get_http2, 0, http_variable},
    {"server_name", get_server_name, 0, http_variable},
    {"connection_requests", get_connection_requests, 0, http_variable},
    {"connection_time", get_connection_time, variable_volatile, http_variable},
    {"pipe", get_pipe, 0, http_variable},
    {"tcpinfo_rtt", get_tcp_fact<&TcpFacts::round_trip_us>, variable_volatile, http_variable},
    {"tcpinfo_rttvar", get_tcp_fact<&TcpFacts::round_trip_deviation_us>, variable_volatile, http_variable},
    {"tcpinfo_snd_cwnd", get_tcp_fact<&TcpFacts::congestion_window>, variable_volatile, http_variable},
    {"tcpinfo_rcv_space", get_tcp_fact<&TcpFacts::receive_bytes>, variable_volatile, http_variable},
};

}  // namespace

constinit const Module http_connection_variables_module = {
    .name = "http_connection_variables",
    .variables = connection_variables,
};

}  // namespace fairlead::http
