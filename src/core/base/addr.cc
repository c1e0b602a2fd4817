// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/base/hash.h"
#include "core/base/text.h"

namespace fairlead {

struct Addr::Path {
  uint32_t references;
  uint32_t size;
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
};

namespace {

constexpr unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static_assert(sizeof(sockaddr_un{}.sun_path) == Addr::path_max + 1);

char* write_text(char* to, std::string_view text) {
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

char* write_number(char* to, unsigned value) { return std::to_chars(to, to + 10, value).ptr; }

// Four decimal numbers of one to three digits.
bool parse_inet(std::string_view text, unsigned char* ip) {
  Splitter parts(text, '.');
  std::string_view part;
  int count = 0;
  while (parts.next(part)) {
    std::optional<uint64_t> value = parse_decimal(part);
    if (count == 4 || part.size() > 3 || !value || *value > 255) return false;
    ip[count++] = static_cast<unsigned char>(*value);
  }
  return count == 4;
}

bool parse_inet6(std::string_view text, unsigned char* ip) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof(terminated) || text.find('\0') != std::string_view::npos) return false;
  *write_text(terminated, text) = '\0';
  return inet_pton(AF_INET6, terminated, ip) == 1;
}

// The two ends of "80" or, for listen, "80-90"; nothing if it is neither.
struct PortRange {
  uint64_t first, last;
};
std::optional<PortRange> parse_port_range(std::string_view text, AddrUse use) {
  size_t dash = use == AddrUse::listen ? text.find('-') : std::string_view::npos;
  std::optional<uint64_t> first = parse_decimal(text.substr(0, dash));
  std::optional<uint64_t> last = dash == std::string_view::npos ? first : parse_decimal(text.substr(dash + 1));
  if (!first || !last) return std::nullopt;
  return PortRange{*first, *last};
}

// Fills port, last_port and has_port. Gives the reason why not, or null.
const char* set_port(std::optional<PortRange> range, AddrText& to) {
  if (!range || range->first < 1 || range->first > 65535 || range->last > 65535) return "invalid port";
  if (range->first > range->last) return "invalid port range";
  to.port = static_cast<uint16_t>(range->first);
  to.last_port = static_cast<uint16_t>(range->last);
  to.has_port = true;
  return nullptr;
}

ConfResult<AddrText> parse_local(std::string_view path) {
  if (path.empty()) return std::string("no path in the unix domain socket");
  if (path.size() > Addr::path_max) return std::string("too long path in the unix domain socket");
  AddrText to;
  to.addr = Addr::local(path);
  to.host = path;
  return to;
}

// `text` begins with '['.
ConfResult<AddrText> parse_bracketed(std::string_view text, AddrText to, AddrUse use) {
  size_t close = text.find(']');
  if (close == std::string_view::npos) return std::string("invalid host");
  std::string_view behind = text.substr(close + 1);
  if (!behind.empty()) {
    if (behind[0] != ':') return std::string("invalid host");
    if (const char* reason = set_port(parse_port_range(behind.substr(1), use), to)) return std::string(reason);
  }
  if (close == 1) return std::string("no host");
  unsigned char ip[16];
  if (!parse_inet6(text.substr(1, close - 1), ip)) return std::string("invalid IPv6 address");
  to.host = text.substr(0, close + 1);
  to.addr = Addr::inet6(ip, to.port);
  return to;
}

// Compares the first `bits` bits.
bool same_prefix(const unsigned char* a, const unsigned char* b, unsigned bits) {
  unsigned whole = bits / 8, rest = bits % 8;
  if (std::memcmp(a, b, whole) != 0) return false;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

// Clears the bits behind the first `bits` of `size` bytes. Gives whether one was set.
bool clear_behind(unsigned char* ip, size_t size, unsigned bits) {
  bool any = false;
  for (size_t i = 0; i < size; ++i) {
    unsigned kept = bits > i * 8 ? std::min(bits - static_cast<unsigned>(i * 8), 8u) : 0;
    unsigned char mask = static_cast<unsigned char>(0xff00u >> kept);
    any = any || (ip[i] & ~mask & 0xff) != 0;
    ip[i] &= mask;
  }
  return any;
}

}  // namespace

void Addr::copy(const Addr& other) {
  std::memcpy(static_cast<void*>(this), &other, sizeof(Addr));
  if (family_ == Family::local && path_) ++path_->references;
}

void Addr::steal(Addr& other) {
  std::memcpy(static_cast<void*>(this), &other, sizeof(Addr));
  other.family_ = Family::none;
}

void Addr::drop_path() {
  if (path_ && --path_->references == 0) ::operator delete(path_);
  path_ = nullptr;
}

Addr Addr::inet(uint32_t ip, uint16_t port) {
  Addr addr;
  addr.family_ = Family::inet;
  addr.port_ = port;
  uint32_t network = htonl(ip);
  std::memcpy(addr.ip_, &network, 4);
  return addr;
}

Addr Addr::inet6(const void* ip, uint16_t port) {
  Addr addr;
  addr.family_ = Family::inet6;
  addr.port_ = port;
  std::memcpy(addr.ip_, ip, 16);
  return addr;
}

Addr Addr::local(std::string_view path) {
  FL_ASSERT(path.size() <= path_max);
  Addr addr;
  addr.family_ = Family::local;
  addr.path_ = nullptr;
  if (!path.empty()) {
    addr.path_ = new (::operator new(sizeof(Path) + path.size())) Path{1, static_cast<uint32_t>(path.size())};
    std::memcpy(addr.path_->bytes(), path.data(), path.size());
  }
  return addr;
}

Addr Addr::from_sockaddr(const sockaddr* from, socklen_t size) {
  if (size < sizeof(sa_family_t)) return Addr();
  if (from->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(from);
    return inet(ntohl(in->sin_addr.s_addr), ntohs(in->sin_port));
  }
  if (from->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(from);
    Addr addr = inet6(&in6->sin6_addr, ntohs(in6->sin6_port));
    addr.scope_ = in6->sin6_scope_id;
    return addr;
  }
  if (from->sa_family == AF_UNIX) {
    const auto* un = reinterpret_cast<const sockaddr_un*>(from);
    size_t room = std::min<size_t>(size, sizeof(sockaddr_un)) - offsetof(sockaddr_un, sun_path);
    if (size <= offsetof(sockaddr_un, sun_path)) room = 0;
    std::string_view path(un->sun_path, room);
    // A file name ends at its zero byte, an abstract name (which begins with one) at the given size.
    if (!path.empty() && path[0] != '\0') path = path.substr(0, path.find('\0'));
    return local(path.substr(0, path_max));
  }
  return Addr();
}

std::optional<Addr> Addr::parse_ip(std::string_view text) {
  unsigned char ip[16];
  if (text.find(':') != std::string_view::npos) {
    if (!parse_inet6(text, ip)) return std::nullopt;
    return inet6(ip, 0);
  }
  if (!parse_inet(text, ip)) return std::nullopt;
  Addr addr = inet(0, 0);
  std::memcpy(addr.ip_, ip, 4);
  return addr;
}

socklen_t Addr::to_sockaddr(sockaddr_storage& to) const {
  std::memset(&to, 0, sizeof(to));
  switch (family_) {
    case Family::inet: {
      auto* in = reinterpret_cast<sockaddr_in*>(&to);
      in->sin_family = AF_INET;
      in->sin_port = htons(port_);
      std::memcpy(&in->sin_addr, ip_, 4);
      return sizeof(sockaddr_in);
    }
    case Family::inet6: {
      auto* in6 = reinterpret_cast<sockaddr_in6*>(&to);
      in6->sin6_family = AF_INET6;
      in6->sin6_port = htons(port_);
      in6->sin6_scope_id = scope_;
      std::memcpy(&in6->sin6_addr, ip_, 16);
      return sizeof(sockaddr_in6);
    }
    case Family::local: {
      auto* un = reinterpret_cast<sockaddr_un*>(&to);
      un->sun_family = AF_UNIX;
      std::string_view path = bytes();
      write_text(un->sun_path, path);
      bool file = !path.empty() && path[0] != '\0';
      return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (file ? 1 : 0));
    }
    case Family::none: break;
  }
  return 0;
}

bool Addr::is_wildcard() const {
  return is_ip() && std::all_of(ip_, ip_ + bytes().size(), [](unsigned char byte) { return byte == 0; });
}

bool Addr::is_mapped() const { return family_ == Family::inet6 && std::memcmp(ip_, mapped_prefix, sizeof(mapped_prefix)) == 0; }

Addr Addr::unmapped() const {
  if (!is_mapped()) return *this;
  Addr addr = inet(0, port_);
  std::memcpy(addr.ip_, ip_ + 12, 4);
  return addr;
}

std::string_view Addr::bytes() const {
  switch (family_) {
    case Family::inet: return {reinterpret_cast<const char*>(ip_), 4};
    case Family::inet6: return {reinterpret_cast<const char*>(ip_), 16};
    case Family::local: return path_ ? std::string_view(path_->bytes(), path_->size) : std::string_view();
    case Family::none: break;
  }
  return {};
}

char* Addr::write_ip(char* to) const {
  if (family_ == Family::inet6) {
    inet_ntop(AF_INET6, ip_, to, INET6_ADDRSTRLEN);
    return to + std::strlen(to);
  }
  for (int i = 0; i < 4; ++i) {
    if (i > 0) *to++ = '.';
    to = write_number(to, ip_[i]);
  }
  return to;
}

char* Addr::write(char* to) const {
  if (family_ == Family::none) return to;
  if (family_ == Family::local) {
    to = write_text(to, "unix:");
    // The zero byte before an abstract name is shown as the customary @.
    for (char c : bytes()) *to++ = c == '\0' ? '@' : c;
    return to;
  }
  if (family_ == Family::inet6) *to++ = '[';
  to = write_ip(to);
  if (family_ == Family::inet6) *to++ = ']';
  *to++ = ':';
  return write_number(to, port_);
}

char* Addr::write_host(char* to) const {
  if (family_ == Family::none) return to;
  return family_ == Family::local ? write_text(to, "unix:") : write_ip(to);
}

std::string Addr::text() const {
  char buffer[text_max];
  return std::string(buffer, write(buffer));
}

std::string Addr::host_text() const {
  char buffer[text_max];
  return std::string(buffer, write_host(buffer));
}

bool Addr::same_host(const Addr& other) const { return family_ == other.family_ && scope_ == other.scope_ && bytes() == other.bytes(); }

bool operator==(const Addr& a, const Addr& b) { return a.port_ == b.port_ && a.same_host(b); }

uint64_t Addr::hash() const { return hash_bytes(bytes(), static_cast<uint64_t>(family_) << 16 | port_); }

ConfResult<AddrText> parse_addr(std::string_view text, uint16_t default_port, AddrUse use) {
  if (starts_with_nocase(text, "unix:")) return parse_local(text.substr(5));
  AddrText to;
  to.port = to.last_port = default_port;
  if (text.starts_with('[')) return parse_bracketed(text, to, use);
  size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    if (const char* reason = set_port(parse_port_range(text.substr(colon + 1), use), to)) return std::string(reason);
  } else if (std::optional<PortRange> lone = parse_port_range(text, use); lone && use == AddrUse::listen) {
    if (const char* reason = set_port(lone, to)) return std::string(reason);
    to.addr = Addr::inet(0, to.port);
    return to;
  }
  to.host = text.substr(0, colon);
  if (to.host.empty()) return std::string("no host");
  unsigned char ip[4];
  if (to.host == "*" && use == AddrUse::listen) {
    to.addr = Addr::inet(0, to.port);
  } else if (parse_inet(to.host, ip)) {
    to.addr = Addr::inet(uint32_t{ip[0]} << 24 | uint32_t{ip[1]} << 16 | uint32_t{ip[2]} << 8 | ip[3], to.port);
  }
  return to;
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  Cidr cidr;
  if (text == "unix:") {
    cidr.family_ = Addr::Family::local;
    return cidr;
  }
  size_t slash = text.find('/');
  std::optional<Addr> addr = Addr::parse_ip(text.substr(0, slash));
  if (!addr) return std::nullopt;
  std::string_view ip = addr->bytes();
  cidr.family_ = addr->family();
  std::memcpy(cidr.ip_, ip.data(), ip.size());
  std::optional<uint64_t> bits = ip.size() * 8;
  if (slash != std::string_view::npos) bits = parse_decimal(text.substr(slash + 1));
  if (!bits || *bits > ip.size() * 8) return std::nullopt;
  cidr.bits_ = static_cast<uint8_t>(*bits);
  cidr.low_bits_set_ = clear_behind(cidr.ip_, ip.size(), cidr.bits_);
  return cidr;
}

bool Cidr::contains(const Addr& addr) const {
  std::string_view ip = addr.bytes();
  Addr::Family family = addr.family();
  if (addr.is_mapped()) {
    ip.remove_prefix(12);
    family = Addr::Family::inet;
  }
  if (family != family_ || family == Addr::Family::none) return false;
  return family == Addr::Family::local || same_prefix(ip_, reinterpret_cast<const unsigned char*>(ip.data()), bits_);
}

std::string_view Cidr::bytes() const {
  size_t size = family_ == Addr::Family::inet ? 4 : family_ == Addr::Family::inet6 ? 16 : 0;
  return {reinterpret_cast<const char*>(ip_), size};
}

}  // namespace fairlead
