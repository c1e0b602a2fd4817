// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One listening socket: what was asked for (ListenSpec), and the open descriptor (ListenSocket, which owns it). Which sockets a
// configuration has, and what the next one adopts, is in listen_set.h; accepting is event's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/addr.h"
#include "core/base/error.h"
#include "core/base/log.h"

namespace fairlead {

#if defined(__linux__)
constexpr int default_backlog = 511;
#else
constexpr int default_backlog = -1;
#endif

struct ListenSpec {
  enum class Keepalive : uint8_t { system, on, off };

  Addr addr;
  bool stream = true;        // else datagrams
  bool reuseport = false;    // one socket per worker slot
  bool ipv6_only = true;
  bool deferred = false;     // accept only connections that have sent something
  bool transparent = false;  // connections to foreign addresses, too (capture)
  bool multipath = false;    // Multipath TCP (RFC 8684) with clients that speak it; a socket has it from the start or never
  Keepalive keepalive = Keepalive::system;
  int keep_idle_s = 0;  // 0: the system's
  int keep_interval_s = 0;
  int keep_count = 0;
  int backlog = default_backlog;
  int receive_buffer = 0;  // bytes, 0: the system's
  int send_buffer = 0;     // bytes, 0: the system's
  int fastopen = -1;       // queue length, -1: off
  int fib = -1;            // routing table (FreeBSD), -1: the process's
  std::string accept_filter;  // FreeBSD, NetBSD

  bool same_place(const ListenSpec& other) const { return stream == other.stream && addr == other.addr; }
};

// Whether this system can do what is asked for; the error is in nginx's words, to be followed by file and line.
ConfResult<> check_listen_spec(const ListenSpec& spec);

// Why a socket could not be had: the line for the log, and the system's error for who decides about another try.
struct ListenError {
  std::string text;
  int sys = 0;
};

class ListenSocket {
 public:
  enum class Origin : uint8_t {
    opened,     // by this process or the configuration before
    inherited,  // from the old binary
    activated,  // from the service manager, whose socket files are its own
  };

  // Opens and binds; does not listen. A unix socket file gets mode 0666; one that is there already is `Address already in use`.
  static Result<std::shared_ptr<ListenSocket>, ListenError> open(const ListenSpec& spec, const Logger& log);
  // Takes over `descriptor`, which is bound to `addr`, and makes it non-blocking and close-on-exec.
  static std::shared_ptr<ListenSocket> adopt(int descriptor, const Addr& addr, Origin origin, bool stream);

  ListenSocket(int descriptor, const Addr& addr, Origin origin, bool stream)
      : addr_(addr), descriptor_(descriptor), origin_(origin), stream_(stream) {}
  ListenSocket(const ListenSocket&) = delete;
  ListenSocket& operator=(const ListenSocket&) = delete;
  ~ListenSocket() { close(); }

  // Lets further sockets be bound to the address. Needed on an adopted socket that had been opened without.
  void allow_reuseport(const Logger& log);
  // Whether connections to foreign addresses come here, too, as `spec` says. Needs a capability (CAP_NET_ADMIN or CAP_NET_RAW).
  Result<Unit, ListenError> capture(const ListenSpec& spec);
  // Applies the options of `spec` that may change on an open socket; a failure is an [alert] and goes on, as in nginx.
  void configure(const ListenSpec& spec, const Logger& log);
  // Begins to listen, or does it again with a new backlog. Nothing for datagrams.
  ConfResult<> listen(const ListenSpec& spec);

  void close();
  // Removes the file of a unix socket, unless it is somebody else's. The caller knows that no other process serves it.
  void unlink_file(const Logger& log);

  int descriptor() const { return descriptor_; }  // -1 when closed
  const Addr& addr() const { return addr_; }
  Origin origin() const { return origin_; }
  bool is_stream() const { return stream_; }
  // Of a socket for IPv6: it was bound so and stays so.
  bool is_ipv6_only() const;

 private:
  void set_option(int level, int name, int value, const char* text, const Logger& log);
  void set_keepalive(const ListenSpec& spec, const Logger& log);
  void set_acceptance(const ListenSpec& spec, const Logger& log);
  void set_datagram(const Logger& log);

  Addr addr_;
  int descriptor_;
  Origin origin_;
  bool stream_;
  int backlog_ = INT32_MIN;  // of the last listen()
  bool deferred_ = false;
  bool transparent_ = false;
  bool keepalive_set_ = false;
};

// From now on the kernel gives what arrives for the reuseport group of `member` to its first `live` sockets only, in the order in which
// they began to listen. False with errno set if the system cannot.
bool steer_reuseport_group(const ListenSocket& member, const ListenSpec& spec, unsigned live);

}  // namespace fairlead
