// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A c-ares channel at work on the loop: its sockets, its time. What is asked and what answers mean is the caller's. Callbacks of c-ares run
// inside send(), inside an event of the loop or inside the destructor: they record and wake, nothing else, and never destroy the channel.
#pragma once

#include <ares.h>

#include <memory>
#include <vector>

#include "core/base/addr.h"
#include "event/loop/loop.h"

namespace fairlead {

class DnsChannel {
 public:
  // udp: a truncated reply is called back as it is. As the system asks, c-ares goes to TCP by itself.
  enum class Over : uint8_t { udp, tcp };
  // `server`: an IP address. nullptr: what the system is configured with (resolv.conf, hosts file).
  // `try_timeout_ms`: how long the server has. Open it in the process that uses it: query numbers must differ between workers.
  static Result<std::unique_ptr<DnsChannel>> open(Loop& loop, const Addr* server, Over over, int try_timeout_ms);
  // Calls back all that is still asked, with ARES_EDESTRUCTION.
  ~DnsChannel();
  DnsChannel(const DnsChannel&) = delete;
  DnsChannel& operator=(const DnsChannel&) = delete;

  // Asks the server, once, for the records of `type` (class IN) of exactly this name. May call back at once.
  void ask(const char* name, int type, ares_callback callback, void* argument);
  // Asks as the system would: hosts file, search domains.
  void ask_system(const char* name, int family, ares_addrinfo_callback callback, void* argument);
  // All that is asked by now is called back with ARES_ECANCELLED, soon: c-ares would wait for each until its time is over. Also from inside
  // a callback.
  void drop_asked() {
    drops_asked_ = true;
    if (depth_ == 0) settle();
  }

 private:
  class Socket;
  explicit DnsChannel(Loop& loop);
  static void on_socket_state(void* self, ares_socket_t fd, int readable, int writable);
  void set_interest(int fd, bool readable, bool writable);
  void process(int readable_fd, int writable_fd);
  class Call;
  void settle();
  void arm();

  struct OwnTimer : Timer {
    explicit OwnTimer(DnsChannel* owner);
    DnsChannel* channel;
  };
  Loop& loop_;
  ares_channel channel_ = nullptr;
  std::vector<std::unique_ptr<Socket>> sockets_;
  OwnTimer timer_;
  unsigned depth_ = 0;        // of calls into c-ares
  bool drops_asked_ = false;  // once the outermost one has returned
};

}  // namespace fairlead
