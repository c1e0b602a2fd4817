// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/listen_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/filter.h>
#endif

#include "core/base/format.h"

namespace fairlead {
namespace {

ListenError failed(int err, std::string what) {
  char buffer[128];
  return {format("{} failed ({}: {})", what, err, strerror_r(err, buffer, sizeof(buffer))), err};
}

bool set_flags(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0;
}

bool is_file(const Addr& addr) {
  return addr.family() == Addr::Family::local && !addr.bytes().empty() && addr.bytes()[0] != '\0';
}

bool enable(int descriptor, int level, int name, int value = 1) {
  return setsockopt(descriptor, level, name, &value, sizeof(value)) == 0;
}

// What must be set before bind(). Gives the name of the option that failed, or null.
const char* prepare(int descriptor, const ListenSpec& spec) {
  if (!enable(descriptor, SOL_SOCKET, SO_REUSEADDR)) return "SO_REUSEADDR";
  if (spec.reuseport && !enable(descriptor, SOL_SOCKET, SO_REUSEPORT)) return "SO_REUSEPORT";
  if (spec.addr.family() == Addr::Family::inet6 && !enable(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, spec.ipv6_only)) return "IPV6_V6ONLY";
  return nullptr;
}

bool make_transparent([[maybe_unused]] int descriptor, [[maybe_unused]] const Addr& addr, [[maybe_unused]] bool on) {
#if defined(__linux__)
  bool six = addr.family() == Addr::Family::inet6;
  return enable(descriptor, six ? SOL_IPV6 : SOL_IP, six ? IPV6_TRANSPARENT : IP_TRANSPARENT, on);
#else
  errno = ENOPROTOOPT;
  return false;
#endif
}

}  // namespace

ConfResult<> check_listen_spec(const ListenSpec& spec) {
#if !defined(SO_SETFIB)
  if (spec.fib >= 0) return format("invalid parameter \"setfib={}\"", spec.fib);
#endif
#if !defined(SO_ACCEPTFILTER)
  if (!spec.accept_filter.empty()) return format("accept filters \"{}\" are not supported on this platform", spec.accept_filter);
#endif
#if !defined(TCP_DEFER_ACCEPT)
  if (spec.deferred) return std::string("the deferred accept is not supported on this platform");
#endif
#if !defined(TCP_FASTOPEN)
  if (spec.fastopen >= 0) return std::string("\"fastopen\" is not supported on this platform");
#endif
#if !defined(IP_TRANSPARENT)
  if (spec.transparent) return std::string("transparent listening is not supported on this platform");
#endif
#if !defined(IPPROTO_MPTCP)
  if (spec.multipath) return std::string("multipath is not supported on this platform");
#endif
  if (spec.multipath && !spec.addr.is_ip()) return std::string("\"multipath\" is not for unix sockets");
  if (spec.reuseport && spec.addr.family() == Addr::Family::local) return std::string("\"reuseport\" is not for unix sockets");
  return Unit();
}

Result<std::shared_ptr<ListenSocket>, ListenError> ListenSocket::open(const ListenSpec& spec, const Logger& log) {
  sockaddr_storage where;
  socklen_t size = spec.addr.to_sockaddr(where);
  FL_ASSERT(size > 0);
  int protocol = 0;
#if defined(IPPROTO_MPTCP)
  if (spec.multipath) protocol = IPPROTO_MPTCP;
#endif
  int fresh = ::socket(where.ss_family, (spec.stream ? SOCK_STREAM : SOCK_DGRAM), protocol);
  if (fresh < 0) return failed(errno, format("socket() {}", spec.addr.text()));
  auto made = std::make_shared<ListenSocket>(fresh, spec.addr, Origin::opened, spec.stream);
  if (!set_flags(fresh)) return failed(errno, format("fcntl() {}", spec.addr.text()));
  if (const char* option = prepare(fresh, spec)) return failed(errno, format("setsockopt({}) {}", option, spec.addr.text()));
  FL_TRY(made->capture(spec));
#if defined(SO_SETFIB)
  if (spec.fib >= 0) made->set_option(SOL_SOCKET, SO_SETFIB, spec.fib, "SO_SETFIB", log);
#endif
  if (::bind(fresh, reinterpret_cast<sockaddr*>(&where), size) < 0) return failed(errno, format("bind() to {}", spec.addr.text()));
  if (is_file(spec.addr)) {
    std::string path(spec.addr.bytes());
    if (chmod(path.c_str(), 0666) < 0) log.emerg(Errno{errno}, "chmod() \"{}\" failed", path);
  }
  return made;
}

std::shared_ptr<ListenSocket> ListenSocket::adopt(int descriptor, const Addr& addr, Origin origin, bool stream) {
  set_flags(descriptor);
  return std::make_shared<ListenSocket>(descriptor, addr, origin, stream);
}

void ListenSocket::set_option(int level, int name, int value, const char* text, const Logger& log) {
  if (enable(descriptor_, level, name, value)) return;
  log.alert(Errno{errno}, "setsockopt({}, {}) {} failed, ignored", text, value, addr_.text());
}

void ListenSocket::allow_reuseport(const Logger& log) { set_option(SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT", log); }

Result<Unit, ListenError> ListenSocket::capture(const ListenSpec& spec) {
  if (spec.transparent == transparent_) return Unit();
  if (!make_transparent(descriptor_, addr_, spec.transparent)) return failed(errno, format("setsockopt(IP_TRANSPARENT) {}", addr_.text()));
  transparent_ = spec.transparent;
  return Unit();
}

bool ListenSocket::is_ipv6_only() const {
  int only = 0;
  socklen_t size = sizeof(only);
  return getsockopt(descriptor_, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) == 0 && only != 0;
}

void ListenSocket::set_keepalive(const ListenSpec& spec, const Logger& log) {
  if (spec.keepalive == ListenSpec::Keepalive::system) {
    // An adopted socket may carry it from the configuration before.
    if (keepalive_set_) set_option(SOL_SOCKET, SO_KEEPALIVE, 0, "SO_KEEPALIVE", log);
    keepalive_set_ = false;
    return;
  }
  bool on = spec.keepalive == ListenSpec::Keepalive::on;
  set_option(SOL_SOCKET, SO_KEEPALIVE, on, "SO_KEEPALIVE", log);
  keepalive_set_ = on;
#if defined(TCP_KEEPIDLE)
  if (spec.keep_idle_s > 0) set_option(IPPROTO_TCP, TCP_KEEPIDLE, spec.keep_idle_s, "TCP_KEEPIDLE", log);
  if (spec.keep_interval_s > 0) set_option(IPPROTO_TCP, TCP_KEEPINTVL, spec.keep_interval_s, "TCP_KEEPINTVL", log);
  if (spec.keep_count > 0) set_option(IPPROTO_TCP, TCP_KEEPCNT, spec.keep_count, "TCP_KEEPCNT", log);
#endif
}

void ListenSocket::set_acceptance(const ListenSpec& spec, [[maybe_unused]] const Logger& log) {
#if defined(TCP_DEFER_ACCEPT)
  if (spec.deferred != deferred_) set_option(IPPROTO_TCP, TCP_DEFER_ACCEPT, spec.deferred, "TCP_DEFER_ACCEPT", log);
#endif
  deferred_ = spec.deferred;
#if defined(SO_ACCEPTFILTER)
  accept_filter_arg filter = {};
  spec.accept_filter.copy(filter.af_name, sizeof(filter.af_name) - 1);
  if (!spec.accept_filter.empty() && setsockopt(descriptor_, SOL_SOCKET, SO_ACCEPTFILTER, &filter, sizeof(filter)) < 0) {
    log.alert(Errno{errno}, "setsockopt(SO_ACCEPTFILTER, \"{}\") for {} failed, ignored", spec.accept_filter, addr_.text());
  }
#endif
}

// The address a datagram came to, for replies from the same one; only a wildcard socket leaves it open.
void ListenSocket::set_datagram(const Logger& log) {
  if (!addr_.is_wildcard()) return;
  if (addr_.family() == Addr::Family::inet6) {
    set_option(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO", log);
    return;
  }
#if defined(IP_PKTINFO)
  set_option(IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO", log);
#elif defined(IP_RECVDSTADDR)
  set_option(IPPROTO_IP, IP_RECVDSTADDR, 1, "IP_RECVDSTADDR", log);
#endif
}

void ListenSocket::configure(const ListenSpec& spec, const Logger& log) {
  if (spec.receive_buffer > 0) set_option(SOL_SOCKET, SO_RCVBUF, spec.receive_buffer, "SO_RCVBUF", log);
  if (spec.send_buffer > 0) set_option(SOL_SOCKET, SO_SNDBUF, spec.send_buffer, "SO_SNDBUF", log);
  if (!addr_.is_ip()) return;
  if (!spec.stream) {
    set_datagram(log);
    return;
  }
  set_keepalive(spec, log);
  set_acceptance(spec, log);
#if defined(TCP_FASTOPEN)
  if (spec.fastopen >= 0) set_option(IPPROTO_TCP, TCP_FASTOPEN, spec.fastopen, "TCP_FASTOPEN", log);
#endif
}

ConfResult<> ListenSocket::listen(const ListenSpec& spec) {
  if (!spec.stream || backlog_ == spec.backlog) return Unit();
  if (::listen(descriptor_, spec.backlog) < 0) {
    return failed(errno, format("listen() to {}, backlog {}", addr_.text(), spec.backlog)).text;
  }
  backlog_ = spec.backlog;
  return Unit();
}

void ListenSocket::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

void ListenSocket::unlink_file(const Logger& log) {
  if (!is_file(addr_) || origin_ == Origin::activated) return;
  std::string path(addr_.bytes());
  if (unlink(path.c_str()) < 0 && errno != ENOENT) log.emerg(Errno{errno}, "unlink() \"{}\" failed", path);
}

bool steer_reuseport_group(const ListenSocket& member, const ListenSpec& spec, unsigned live) {
#if defined(SO_ATTACH_REUSEPORT_CBPF)
  // A connection may go to any live socket; the datagrams of one client must stay together, so there its address and port choose.
  auto net = [](int offset) { return static_cast<__u32>(SKF_NET_OFF + offset); };
  bool six = member.addr().family() == Addr::Family::inet6;
  sock_filter random[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<__u32>(SKF_AD_OFF + SKF_AD_RANDOM)),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, live),
      BPF_STMT(BPF_RET | BPF_A, 0),
  };
  sock_filter by_client[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net(six ? 20 : 12)),  // the last word of the source address
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, net(six ? 40 : 20)),  // the source port, if there are no IP options
      BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
      BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, live),
      BPF_STMT(BPF_RET | BPF_A, 0),
  };
  sock_fprog program = spec.stream ? sock_fprog{static_cast<unsigned short>(std::size(random)), random}
                                   : sock_fprog{static_cast<unsigned short>(std::size(by_client)), by_client};
  return setsockopt(member.descriptor(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) == 0;
#else
  (void)member, (void)spec, (void)live;
  errno = ENOPROTOOPT;
  return false;
#endif
}

}  // namespace fairlead
