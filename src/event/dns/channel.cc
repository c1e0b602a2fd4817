// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/dns/channel.h"

#include <arpa/nameser.h>
#include <sys/time.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace fairlead {

// One socket that c-ares opened and will close. A failed registration leaves the question to its timeout.
class DnsChannel::Socket : public Resumable {
 public:
  Socket(DnsChannel& channel, int fd) : Resumable(&Socket::on_event), fd_(fd), channel_(channel) {}
  ~Socket() { drop(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  void set_interest(bool readable, bool writable) {
    PollMode mode = !writable ? PollMode::level_read : readable ? PollMode::level_both : PollMode::level_write;
    if (watch_ && mode == mode_) return;
    drop();
    mode_ = mode;
    auto watch = channel_.loop_.watch(fd_, mode);
    if (!watch) return;
    watch_ = *watch;
    watch_->alert(this, readable, writable);
  }

 private:
  void drop() {
    if (watch_) channel_.loop_.unwatch(std::exchange(watch_, nullptr), true);
  }
  // c-ares may close the socket meanwhile, and so end this object.
  static void on_event(Resumable& self) {
    auto& socket = static_cast<Socket&>(self);
    Watch* watch = socket.watch_;
    if (!watch) return;
    bool readable = watch->is_ready(Direction::read), writable = watch->is_ready(Direction::write);
    watch->set_ready(Direction::read, false);
    watch->set_ready(Direction::write, false);
    socket.channel_.process(readable ? socket.fd_ : ARES_SOCKET_BAD, writable ? socket.fd_ : ARES_SOCKET_BAD);
  }

  int fd_;
  PollMode mode_ = PollMode::level_read;
  DnsChannel& channel_;
  Watch* watch_ = nullptr;
};

DnsChannel::OwnTimer::OwnTimer(DnsChannel* owner)
    : Timer([](Timer& timer) { static_cast<OwnTimer&>(timer).channel->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }), channel(owner) {}

// A call into c-ares, which must not be told to cancel from inside a callback.
class DnsChannel::Call {
 public:
  explicit Call(DnsChannel& channel) : channel_(channel) { ++channel.depth_; }
  ~Call() {
    if (--channel_.depth_ == 0) channel_.settle();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  DnsChannel& channel_;
};

DnsChannel::DnsChannel(Loop& loop) : loop_(loop), timer_(this) {}

static ares_addr_port_node server_node(const Addr& server) {
  ares_addr_port_node node = {};
  std::string_view ip = server.bytes();
  node.family = server.family() == Addr::Family::inet ? AF_INET : AF_INET6;
  std::memcpy(&node.addr, ip.data(), ip.size());
  node.udp_port = node.tcp_port = server.port();
  return node;
}

Result<std::unique_ptr<DnsChannel>> DnsChannel::open(Loop& loop, const Addr* server, Over over, int try_timeout_ms) {
  std::unique_ptr<DnsChannel> made(new DnsChannel(loop));
  if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) return Error{Fault::exhausted, Side::local, 0, "ares_library_init() failed"};
  char lookups[] = "b", no_file[] = "/dev/null";
  ares_options options = {};
  options.sock_state_cb = &DnsChannel::on_socket_state;
  options.sock_state_cb_data = made.get();
  int mask = ARES_OPT_SOCK_STATE_CB;
  if (server) {
    // NOCHECKRESP: otherwise c-ares hides a SERVFAIL or REFUSED of its last server behind "connection refused".
    options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP;
    // Over one channel, the end of its TCP connection would be the end of what is asked over UDP, too: c-ares takes it for the server's.
    options.flags |= over == Over::tcp ? ARES_FLAG_USEVC : ARES_FLAG_IGNTC;
    options.timeout = try_timeout_ms;
    options.tries = 1;
    options.lookups = lookups;
    options.resolvconf_path = no_file;
    mask |= ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF;
  }
  int status = ares_init_options(&made->channel_, &options, mask);
  if (status == ARES_SUCCESS && server) {
    FL_ASSERT(server->is_ip());
    ares_addr_port_node node = server_node(*server);
    status = ares_set_servers_ports(made->channel_, &node);
  }
  if (status != ARES_SUCCESS) return Error{Fault::exhausted, Side::local, 0, "ares_init_options() failed"};
  return made;
}

DnsChannel::~DnsChannel() {
  if (channel_) ares_destroy(channel_);
  sockets_.clear();
  ares_library_cleanup();
}

void DnsChannel::ask(const char* name, int type, ares_callback callback, void* argument) {
  Call call(*this);
  ares_query(channel_, name, ns_c_in, type, callback, argument);
}

void DnsChannel::ask_system(const char* name, int family, ares_addrinfo_callback callback, void* argument) {
  ares_addrinfo_hints hints = {};
  hints.ai_flags = ARES_AI_NOSORT;
  hints.ai_family = family;
  Call call(*this);
  ares_getaddrinfo(channel_, name, nullptr, &hints, callback, argument);
}

void DnsChannel::on_socket_state(void* self, ares_socket_t fd, int readable, int writable) {
  static_cast<DnsChannel*>(self)->set_interest(fd, readable != 0, writable != 0);
}

void DnsChannel::set_interest(int fd, bool readable, bool writable) {
  auto at = std::find_if(sockets_.begin(), sockets_.end(), [fd](const auto& socket) { return socket->fd() == fd; });
  if (!readable && !writable) {
    if (at != sockets_.end()) sockets_.erase(at);
    return;
  }
  if (at == sockets_.end()) at = sockets_.insert(at, std::make_unique<Socket>(*this, fd));
  (*at)->set_interest(readable, writable);
}

void DnsChannel::process(int readable_fd, int writable_fd) {
  Call call(*this);
  ares_process_fd(channel_, readable_fd, writable_fd);
}

void DnsChannel::settle() {
  ++depth_;  // what is cancelled may ask again
  while (std::exchange(drops_asked_, false)) ares_cancel(channel_);
  --depth_;
  arm();
}

// c-ares has no event when its next timeout moves; it is asked after each thing that may move it. Rounded up, so that it is over then.
void DnsChannel::arm() {
  timeval wait = {};
  if (ares_timeout(channel_, nullptr, &wait)) {
    loop_.arm(timer_, static_cast<uint64_t>(wait.tv_sec) * 1000 + static_cast<uint64_t>(wait.tv_usec) / 1000 + 1);
  } else {
    timer_.disarm();
  }
}

}  // namespace fairlead
