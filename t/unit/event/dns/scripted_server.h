// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A name server for tests: UDP and TCP on one loopback port, in a thread of its own; a script decides each reply. Ends with its object.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/addr.h"

namespace fairlead::dns_test {

constexpr int type_a = 1, type_cname = 5, type_aaaa = 28, type_srv = 33;
constexpr int rcode_ok = 0, rcode_servfail = 2, rcode_nxdomain = 3, rcode_refused = 5;

inline std::string number(unsigned value, int bytes) {
  std::string out;
  for (int i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

// "a.b" as labels.
inline std::string labels(const std::string& name) {
  std::string out;
  for (size_t at = 0; at < name.size();) {
    size_t dot = std::min(name.find('.', at), name.size());
    out.push_back(static_cast<char>(dot - at));
    out += name.substr(at, dot - at);
    at = dot + 1;
  }
  return out + '\0';
}

inline std::string record(const std::string& name, int type, unsigned ttl_s, const std::string& content) {
  return labels(name) + number(static_cast<unsigned>(type), 2) + number(1, 2) + number(ttl_s, 4) +
         number(static_cast<unsigned>(content.size()), 2) + content;
}
inline std::string a(const std::string& name, unsigned ttl_s, const std::string& ip) {
  return record(name, type_a, ttl_s, std::string(Addr::parse_ip(ip)->bytes()));
}
inline std::string aaaa(const std::string& name, unsigned ttl_s, const std::string& ip) {
  return record(name, type_aaaa, ttl_s, std::string(Addr::parse_ip(ip)->bytes()));
}
inline std::string cname(const std::string& name, unsigned ttl_s, const std::string& target) {
  return record(name, type_cname, ttl_s, labels(target));
}
// Priority, weight, port.
struct SrvNumbers {
  unsigned priority, weight, port;
};
inline std::string srv(const std::string& name, unsigned ttl_s, SrvNumbers is, const std::string& target) {
  return record(name, type_srv, ttl_s, number(is.priority, 2) + number(is.weight, 2) + number(is.port, 2) + labels(target));
}

struct Asked {
  std::string name;
  int type;
  bool by_tcp;
};

struct Scripted {
  bool silent = false;
  int rcode = rcode_ok;
  std::vector<std::string> records = {};
  bool truncated = false;
  int delay_ms = 0;
  bool broken = false;  // counts more records than there are
};

class ScriptedServer {
 public:
  using Script = std::function<Scripted(const Asked&)>;
  enum class Tcp : uint8_t { listens, refuses };
  explicit ScriptedServer(Script script, Tcp tcp = Tcp::listens) : script_(std::move(script)), has_tcp_(tcp == Tcp::listens) {
    for (int attempt = 0; attempt < 50 && !open(); ++attempt) {
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    stop_ = true;
    thread_.join();
    close(udp_);
    close(tcp_);
  }
  Addr address() const { return Addr::inet(0x7f000001, port_); }
  std::vector<Asked> asked() const {
    std::lock_guard guard(mutex_);
    return asked_;
  }
  size_t count(int type) const {
    size_t found = 0;
    for (const Asked& each : asked()) found += each.type == type;
    return found;
  }

 private:
  bool open() {
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    udp_ = socket(AF_INET, SOCK_DGRAM, 0);
    tcp_ = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    setsockopt(tcp_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool opened = bind(udp_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 &&
                  getsockname(udp_, reinterpret_cast<sockaddr*>(&at), &size) == 0 &&
                  bind(tcp_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 && (!has_tcp_ || listen(tcp_, 8) == 0);
    port_ = ntohs(at.sin_port);
    if (!opened) {
      close(udp_);
      close(tcp_);
    }
    return opened;
  }

  // Empty: no reply.
  std::string reply_to(const std::string& query, bool by_tcp) {
    Asked asked{"", 0, by_tcp};
    size_t at = 12;
    while (at < query.size() && query[at] != 0) {
      if (!asked.name.empty()) asked.name += '.';
      asked.name += query.substr(at + 1, static_cast<unsigned char>(query[at]));
      at += 1 + static_cast<unsigned char>(query[at]);
    }
    asked.type = static_cast<unsigned char>(query[at + 2]);
    std::string question = query.substr(12, at + 5 - 12);
    {
      std::lock_guard guard(mutex_);
      asked_.push_back(asked);
    }
    Scripted scripted = script_(asked);
    if (scripted.delay_ms) usleep(static_cast<useconds_t>(scripted.delay_ms) * 1000);
    if (scripted.silent) return {};
    unsigned flags = 0x8180u | (scripted.truncated ? 0x200u : 0u) | static_cast<unsigned>(scripted.rcode);
    unsigned records = static_cast<unsigned>(scripted.records.size()) + (scripted.broken ? 3 : 0);
    std::string out = query.substr(0, 2) + number(flags, 2) + number(1, 2) + number(records, 2) + number(0, 4) + question;
    for (const std::string& each : scripted.records) out += each;
    return out;
  }

  void serve() {
    while (!stop_) {
      pollfd ready[2] = {{udp_, POLLIN, 0}, {has_tcp_ ? tcp_ : -1, POLLIN, 0}};
      if (poll(ready, 2, 10) <= 0) continue;
      if (ready[0].revents) serve_udp();
      if (ready[1].revents) serve_tcp();
    }
  }
  void serve_udp() {
    char bytes[600];
    sockaddr_in from = {};
    socklen_t size = sizeof from;
    ssize_t got = recvfrom(udp_, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 17) return;
    std::string reply = reply_to(std::string(bytes, static_cast<size_t>(got)), false);
    if (!reply.empty()) sendto(udp_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
  void serve_tcp() {
    int client = accept(tcp_, nullptr, nullptr);
    char bytes[600];
    ssize_t got = recv(client, bytes, sizeof bytes, 0);
    if (got > 19) {
      std::string reply = reply_to(std::string(bytes + 2, static_cast<size_t>(got - 2)), true);
      reply = number(static_cast<unsigned>(reply.size()), 2) + reply;
      // In two pieces, so that the reader has to wait in between.
      send(client, reply.data(), 20, MSG_NOSIGNAL);
      usleep(5000);
      send(client, reply.data() + 20, reply.size() - 20, MSG_NOSIGNAL);
      usleep(5000);
    }
    close(client);
  }

  Script script_;
  bool has_tcp_;
  int udp_ = -1, tcp_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  mutable std::mutex mutex_;
  std::vector<Asked> asked_;
  std::thread thread_;
};

}  // namespace fairlead::dns_test
