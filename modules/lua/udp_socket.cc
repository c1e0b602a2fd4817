// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/udp_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "event/net/room.h"
#include "event/worker.h"
#include "modules/lua/byte_socket.h"
#include "modules/lua/if_cancelled.h"
#include "modules/lua/socket_names.h"

namespace fairlead::lua {

void UdpSocket::close() {
  if (!watch_) return;
  int fd = watch_->fd();
  worker_.loop().unwatch(std::exchange(watch_, nullptr));
  ::close(fd);
  slot_ = ConnectionSlot();
}

// A local socket needs a name of its own to be answered: the system chooses one.
static bool bind_for(int fd, const Addr& to, const Addr& local) {
  sa_family_t unnamed = AF_UNIX;
  if (to.family() == Addr::Family::local) return bind(fd, reinterpret_cast<sockaddr*>(&unnamed), sizeof unnamed) == 0;
  if (!local.valid()) return true;
  sockaddr_storage address;
  socklen_t size = local.to_sockaddr(address);
  return bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0;
}

std::string UdpSocket::fail(const char* call) {
  Error error = Error::from_errno(errno, call);
  failure = log_text_of(error);
  return system_text(error.sys);
}

std::string UdpSocket::open(const Addr& to) {
  sockaddr_storage address;
  socklen_t size = to.to_sockaddr(address);
  int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_text(errno);
  if (!bind_for(fd, to, local) || connect(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) {
    std::string reason = fail("connect() failed");
    ::close(fd);
    return reason;
  }
  auto watch = worker_.loop().watch(fd, PollMode::edge);
  if (!watch) {
    ::close(fd);
    return system_text(watch.error().sys);
  }
  watch_ = *watch;
  slot_ = ConnectionSlot(worker_);
  return {};
}

Task<std::string> UdpSocket::set_peer(std::string host, uint16_t port) {
  BusyFlag busy(is_busy);
  close();
  Addr address;
  SocketName name{std::move(host), port, 0};
  std::string wrong = co_await find_address(worker_, place_, std::move(name), address);
  if (!wrong.empty()) co_return std::move(wrong);
  bool is_room = co_await find_room(worker_);
  if (!is_room) co_return std::string(no_room_text);
  wrong = open(address);
  co_return std::move(wrong);
}

std::string UdpSocket::send(std::string_view bytes) {
  ssize_t sent = ::send(watch_->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return sent < 0 ? fail("send() failed") : std::string();
}

Task<std::string> UdpSocket::receive(size_t bytes_max, std::string& datagram) {
  BusyFlag busy(is_busy);
  datagram.resize(bytes_max);
  for (;;) {
    ssize_t got = recv(watch_->fd(), datagram.data(), datagram.size(), 0);
    if (got >= 0) {
      datagram.resize(static_cast<size_t>(got));
      co_return std::string();
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return fail("recv() failed");
    watch_->set_ready(Direction::read, false);
    IfCancelled cancelled([this] { close(); });  // the answer would be the next one's
    WaitStatus status = co_await IoWait(*watch_, Direction::read, worker_.loop().deadline(read_timeout_ms));
    cancelled.pass();
    if (status == WaitStatus::timeout) co_return "timeout";
  }
}

}  // namespace fairlead::lua
