// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace fairlead {

#if defined(__linux__)
// The kernel's struct tcp_info up to the field we want; libc's may end before it (linux/tcp.h, since 4.1).
struct TcpCounters {
  struct tcp_info known;
  uint64_t pacing_rate, max_pacing_rate, bytes_acked;
};
#endif

static void set_option(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

Result<Accepted> accept_socket(int listen_fd) {
  sockaddr_storage storage;
  socklen_t size = sizeof storage;
  int fd = accept4(listen_fd, reinterpret_cast<sockaddr*>(&storage), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return Error::from_errno(errno, "accept4() failed", Side::client);
  return Accepted{fd, Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size)};
}

static Result<Unit> prepare(int fd, const Addr& to, const ConnectOptions& options) {
  if (options.keepalive) set_keepalive(fd);
  if (options.send_buffer) set_option(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer);
  if (options.receive_buffer) set_option(fd, SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
  if (options.send_low_water) set_option(fd, SOL_SOCKET, SO_SNDLOWAT, options.send_low_water);
  if (to.is_ip()) set_nodelay(fd);
  if (!options.bind.valid()) return Unit();
#if defined(IP_TRANSPARENT)
  if (options.transparent && options.bind.family() == Addr::Family::inet) set_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
  if (options.transparent && options.bind.family() == Addr::Family::inet6) set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
#endif
#if defined(IP_BIND_ADDRESS_NO_PORT)
  if (options.bind.port() == 0 && options.bind.is_ip()) set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
#endif
  sockaddr_storage storage;
  socklen_t size = options.bind.to_sockaddr(storage);
  if (bind(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0) return Unit();
  return Error::from_errno(errno, "bind() failed");
}

Result<int> connect_socket(const Addr& to, const ConnectOptions& options) {
  sockaddr_storage storage;
  socklen_t size = to.to_sockaddr(storage);
  int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error::from_errno(errno, "socket() failed");
  auto prepared = prepare(fd, to, options);
  if (!prepared) {
    close(fd);
    return prepared.error();
  }
  if (connect(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0 || errno == EINPROGRESS) return fd;
  int err = errno;
  close(fd);
  // A full backlog of a unix socket is a refusal by the peer, not our shortage.
  return Error::from_errno(err == EAGAIN ? ECONNREFUSED : err, "connect() failed", Side::upstream);
}

int connect_result(int fd) {
  int err = 0;
  socklen_t size = sizeof err;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0) return errno;
  return err;
}

void set_nodelay(int fd) { set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); }
void set_keepalive(int fd) { set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1); }

void set_cork(int fd, bool on) {
#if defined(TCP_CORK)
  set_option(fd, IPPROTO_TCP, TCP_CORK, on);
#elif defined(TCP_NOPUSH)
  set_option(fd, IPPROTO_TCP, TCP_NOPUSH, on);
#else
  (void)fd, (void)on;
#endif
}

Addr local_address(int fd) {
  sockaddr_storage storage;
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) < 0) return Addr();
  return Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size);
}

std::optional<uint64_t> acknowledged_bytes(int fd) {
#if defined(__linux__)
  TcpCounters counters{};
  socklen_t size = sizeof counters;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &counters, &size) < 0) return std::nullopt;
  if (size < offsetof(TcpCounters, bytes_acked) + sizeof counters.bytes_acked) return std::nullopt;
  return counters.bytes_acked;
#else
  (void)fd;
  return std::nullopt;
#endif
}

}  // namespace fairlead
