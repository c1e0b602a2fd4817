// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/session_vars.h"

#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <string>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/base/version.h"

namespace fairlead {

Value text_value(Session& session, std::string_view text) { return Value{session.arena().copy(text)}; }

Value number_value(Session& session, uint64_t number) {
  char text[20];
  char* end = std::to_chars(text, text + sizeof text, number).ptr;
  return text_value(session, {text, static_cast<size_t>(end - text)});
}

Value seconds_value(Session& session, uint64_t ms) {
  char text[24];
  char* at = std::to_chars(text, text + 20, ms / 1000).ptr;
  *at++ = '.';
  *at++ = static_cast<char>('0' + ms / 100 % 10);
  *at++ = static_cast<char>('0' + ms / 10 % 10);
  *at++ = static_cast<char>('0' + ms % 10);
  return text_value(session, {text, static_cast<size_t>(at - text)});
}

const Addr& local_address(Session& session) {
  static const Addr none{};
  const Addr* known = session.local_addr;
  if (known && !known->is_wildcard()) return *known;
  sockaddr_storage storage;
  socklen_t size = sizeof storage;
  if (session.client_fd < 0 || getsockname(session.client_fd, reinterpret_cast<sockaddr*>(&storage), &size) < 0)
    return known ? *known : none;
  session.local_addr = session.arena().make<Addr>(Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size));
  return *session.local_addr;
}

namespace {

Value host_of(Session& session, const Addr& addr) {
  char text[Addr::text_max];
  return text_value(session, {text, static_cast<size_t>(addr.write_host(text) - text)});
}

// Unix sockets have no port: found, but empty.
Value port_of(Session& session, const Addr& addr) { return addr.port() ? number_value(session, addr.port()) : Value{}; }

Value get_remote_addr(Session& session, uintptr_t) { return host_of(session, *session.client_addr); }
Value get_remote_port(Session& session, uintptr_t) { return port_of(session, *session.client_addr); }
// Four or sixteen bytes; "unix:" has no bytes of its own.
Value get_binary_remote_addr(Session& session, uintptr_t) {
  if (!session.client_addr->is_ip()) return Value{"unix:"};
  return Value{session.client_addr->bytes()};
}
// With the path of a unix socket, unlike a peer's.
Value get_server_addr(Session& session, uintptr_t) {
  const Addr& addr = local_address(session);
  if (addr.is_ip()) return host_of(session, addr);
  char text[Addr::text_max];
  return text_value(session, {text, static_cast<size_t>(addr.write(text) - text)});
}
Value get_server_port(Session& session, uintptr_t) { return port_of(session, local_address(session)); }
Value get_connection(Session& session, uintptr_t) { return number_value(session, session.logger.connection()); }

// The clock's texts are made again each second, hence the copies.
Value get_msec(Session& session, uintptr_t) { return text_value(session, clock().msec()); }
Value get_time_local(Session& session, uintptr_t) { return text_value(session, clock().log_time()); }
Value get_time_iso8601(Session& session, uintptr_t) { return text_value(session, clock().iso8601()); }

Value get_pid(Session& session, uintptr_t) { return number_value(session, static_cast<uint64_t>(getpid())); }
Value get_nginx_version(Session&, uintptr_t) { return Value{compatible_version}; }
Value get_hostname(Session&, uintptr_t) {
  static const std::string name = [] {
    char text[256] = {};
    if (gethostname(text, sizeof text - 1) < 0) text[0] = '\0';
    std::string lower_case(text);
    for (char& byte : lower_case) byte = lower(byte);
    return lower_case;
  }();
  return Value{name};
}

constexpr VariableDef session_variables[] = {
    {"remote_addr", get_remote_addr},
    {"remote_port", get_remote_port},
    {"binary_remote_addr", get_binary_remote_addr},
    {"server_addr", get_server_addr},
    {"server_port", get_server_port},
    {"connection", get_connection},
    {"msec", get_msec, variable_volatile},
    {"time_local", get_time_local, variable_volatile},
    {"time_iso8601", get_time_iso8601, variable_volatile},
    {"pid", get_pid},
    {"hostname", get_hostname},
    {"nginx_version", get_nginx_version},
};

}  // namespace

constinit const Module session_variables_module = {
    .name = "session_variables",
    .variables = session_variables,
};

}  // namespace fairlead
