// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Addresses as values: IPv4, IPv6, unix paths; their spelling in configurations and logs; networks for access rules. No sockets and no
// name resolution here. An Addr is 24 bytes; a unix path lives in one counted block shared by its copies (event-loop thread only).
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace fairlead {

class Addr {
 public:
  enum class Family : uint8_t { none, inet, inet6, local };  // local: a unix socket

  Addr() = default;
  Addr(const Addr& other) { copy(other); }
  Addr(Addr&& other) noexcept { steal(other); }
  Addr& operator=(const Addr& other) {
    if (this != &other) {
      drop();
      copy(other);
    }
    return *this;
  }
  Addr& operator=(Addr&& other) noexcept {
    if (this != &other) {
      drop();
      steal(other);
    }
    return *this;
  }
  ~Addr() { drop(); }

  // `ip` in host byte order: 0x7f000001 is 127.0.0.1.
  static Addr inet(uint32_t ip, uint16_t port);
  // `ip`: 16 bytes in network order.
  static Addr inet6(const void* ip, uint16_t port);
  // Empty: the unnamed end of a unix connection. A leading zero byte: an abstract name. Must be at most path_max bytes.
  static Addr local(std::string_view path);
  // What accept(), getsockname() or a resolver gave. Family none for what is none of the three.
  static Addr from_sockaddr(const sockaddr* from, socklen_t size);
  // An IPv4 or IPv6 address without brackets and port, or nothing. The port is 0.
  static std::optional<Addr> parse_ip(std::string_view text);

  // For bind() and connect(); gives the size used. 0 for family none.
  socklen_t to_sockaddr(sockaddr_storage& to) const;

  Family family() const { return family_; }
  bool valid() const { return family_ != Family::none; }
  bool is_ip() const { return family_ == Family::inet || family_ == Family::inet6; }
  uint16_t port() const { return port_; }  // 0 for unix sockets
  void set_port(uint16_t port) { port_ = port; }
  // 0.0.0.0 or ::
  bool is_wildcard() const;
  // An IPv6 address that carries an IPv4 one (::ffff:0:0/96).
  bool is_mapped() const;
  // That IPv4 address with the same port; any other address as it is.
  Addr unmapped() const;
  // The address in network order: 4 or 16 bytes, as in $binary_remote_addr; the path of a unix socket.
  std::string_view bytes() const;

  static constexpr size_t path_max = 107;
  static constexpr size_t text_max = path_max + 5;
  // "127.0.0.1:8080", "[::1]:80", "unix:/path". Writes at most text_max bytes and gives the end. Nothing for family none.
  char* write(char* to) const;
  // As $remote_addr: "127.0.0.1", "::1", "unix:" (of a unix socket without its path).
  char* write_host(char* to) const;
  std::string text() const;
  std::string host_text() const;

  // Same family, address, scope and port (path).
  friend bool operator==(const Addr& a, const Addr& b);
  // Without looking at the port.
  bool same_host(const Addr& other) const;
  uint64_t hash() const;

 private:
  struct Path;  // counted
  void copy(const Addr& other);
  void steal(Addr& other);
  void drop() {
    if (family_ == Family::local) drop_path();
    family_ = Family::none;
  }
  void drop_path();
  char* write_ip(char* to) const;

  Family family_ = Family::none;
  uint16_t port_ = 0;
  uint32_t scope_ = 0;  // interface of a link-local IPv6 address
  union {
    unsigned char ip_[16] = {};
    Path* path_;  // null for an unnamed socket
  };
};
static_assert(sizeof(Addr) == 24);

enum class AddrUse : uint8_t {
  listen,   // a lone number is a port; a port may be a range
  connect,  // a lone number is a host name, and so is "*", which nobody has
};

// An address as written. Name and host are views into the text.
struct AddrText {
  Addr addr;              // invalid if `host` is a name, which somebody has to resolve
  std::string_view host;  // as written, with the brackets of IPv6; the path of a unix socket
  uint16_t port = 0;
  uint16_t last_port = 0;  // equal to `port` unless a range was given
  bool has_port = false;   // otherwise it is the default

  bool is_name() const { return !addr.valid(); }
};
// "127.0.0.1:80", "[::1]:80", "unix:/path", "*:80", "80", "name:80". The error is the reason in nginx's words ("invalid port", "no host",
// "invalid IPv6 address", ...), for a line like `REASON in "TEXT" of the "listen" directive`.
ConfResult<AddrText> parse_addr(std::string_view text, uint16_t default_port, AddrUse use);

// A network, for access rules. "unix:" is one, too: that of all unix sockets.
class Cidr {
 public:
  // "10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "::1", "unix:"; nothing if malformed. Bits behind the mask are dropped.
  static std::optional<Cidr> parse(std::string_view text);
  // A mapped IPv6 address is looked at as the IPv4 address in it, and so never matches an IPv6 network.
  bool contains(const Addr& addr) const;
  // The text had bits behind the mask (a warning: "low address bits of TEXT are meaningless").
  bool low_bits_set() const { return low_bits_set_; }
  Addr::Family family() const { return family_; }
  int prefix_bits() const { return bits_; }
  // The network's own address: 4 or 16 bytes in network order.
  std::string_view bytes() const;

 private:
  Addr::Family family_ = Addr::Family::none;
  uint8_t bits_ = 0;
  bool low_bits_set_ = false;
  unsigned char ip_[16] = {};
};

}  // namespace fairlead
