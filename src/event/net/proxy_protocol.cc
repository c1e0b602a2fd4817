// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/proxy_protocol.h"

#include <array>

#include "core/base/format.h"
#include "core/base/hash.h"
#include "core/base/text.h"

namespace fairlead {

using State = ProxyParsed::State;

namespace {

constexpr std::string_view v1_begin = "PROXY ";
constexpr size_t v1_bytes_max = 107;  // with its line end
constexpr std::string_view v2_signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t v2_head_bytes = 16;
constexpr size_t tlv_head_bytes = 3;
constexpr size_t ssl_head_bytes = 5;  // client flags, verify
constexpr uint8_t family_tcp4 = 0x11, family_tcp6 = 0x21;
constexpr uint8_t command_local = 0x20, command_proxy = 0x21;

ProxyParsed malformed(std::string_view problem) { return {State::malformed, 0, problem}; }

uint8_t byte_at(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
uint16_t number16(std::string_view bytes, size_t at) { return static_cast<uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1)); }
uint32_t number32(std::string_view bytes, size_t at) {
  return static_cast<uint32_t>(number16(bytes, at)) << 16 | number16(bytes, at + 2);
}
void put16(std::string& to, uint16_t number) {
  to += static_cast<char>(number >> 8);
  to += static_cast<char>(number & 0xff);
}

std::string_view take_word(std::string_view& text) {
  size_t space = text.find(' ');
  std::string_view word = text.substr(0, space);
  text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  return word;
}

bool set_address(Addr& addr, Addr::Family family, std::string_view host, std::string_view port) {
  auto parsed = Addr::parse_ip(host);
  auto number = parse_decimal(port);
  if (!parsed || parsed->family() != family || !number || *number > 65535 || port.size() > 5) return false;
  addr = *parsed;
  addr.set_port(static_cast<uint16_t>(*number));
  return true;
}

ProxyParsed parse_v1(std::string_view bytes, ProxyHeader& header) {
  size_t feed = bytes.find('\n');  // the first ends the line, however the bytes arrived
  if (feed == std::string_view::npos) return bytes.size() >= v1_bytes_max ? malformed("the line is too long") : ProxyParsed();
  if (feed + 1 > v1_bytes_max) return malformed("the line is too long");
  if (bytes[feed - 1] != '\r') return malformed("the line ends without a carriage return");
  size_t end = feed - 1;
  ProxyParsed done{State::done, end + 2, {}};
  std::string_view rest = bytes.substr(v1_begin.size(), end - v1_begin.size());
  std::string_view family = take_word(rest);
  if (family == "UNKNOWN") return done;
  if (family != "TCP4" && family != "TCP6") return malformed("unknown protocol");
  Addr::Family kind = family == "TCP4" ? Addr::Family::inet : Addr::Family::inet6;
  std::string_view source = take_word(rest), destination = take_word(rest), source_port = take_word(rest);
  if (!set_address(header.source, kind, source, source_port) || !set_address(header.destination, kind, destination, rest)) {
    header.source = header.destination = Addr();
    return malformed("invalid address or port");
  }
  return done;
}

// Calls `each(type, value)` until it gives true. False: a length points behind the end.
template <class Each>
bool walk_tlvs(std::string_view tlvs, Each each) {
  while (!tlvs.empty()) {
    if (tlvs.size() < tlv_head_bytes) return false;
    size_t bytes = number16(tlvs, 1);
    if (tlvs.size() - tlv_head_bytes < bytes) return false;
    if (each(byte_at(tlvs, 0), tlvs.substr(tlv_head_bytes, bytes))) return true;
    tlvs.remove_prefix(tlv_head_bytes + bytes);
  }
  return true;
}

// The checksum is of the whole header with the four bytes of the checksum as zero.
bool checksum_is_right(std::string_view header_bytes, std::string_view checksum) {
  if (checksum.size() != 4) return false;
  size_t at = static_cast<size_t>(checksum.data() - header_bytes.data());
  uint32_t sum = crc32c(header_bytes.substr(0, at));
  sum = crc32c(std::string_view("\0\0\0\0", 4), sum);
  sum = crc32c(header_bytes.substr(at + 4), sum);
  return sum == number32(checksum, 0);
}

ProxyParsed parse_v2(std::string_view bytes, ProxyHeader& header) {
  if (bytes.size() < v2_head_bytes) return {};
  uint8_t command = byte_at(bytes, 12), family = byte_at(bytes, 13);
  size_t total = v2_head_bytes + number16(bytes, 14);
  if (command >> 4 != 2) return malformed("unknown version");
  if (command != command_local && command != command_proxy) return malformed("unknown command");
  if (total > proxy_header_bytes_max) return malformed("the header is too large");
  if (bytes.size() < total) return {};
  ProxyParsed done{State::done, total, {}};
  if (command == command_local) return done;
  std::string_view whole = bytes.substr(0, total), rest = whole.substr(v2_head_bytes);
  if (family != family_tcp4 && family != family_tcp6) return done;  // what is behind is not ours to read
  size_t host_bytes = family == family_tcp4 ? 4 : 16, address_bytes = 2 * host_bytes + 4;
  if (rest.size() < address_bytes) return malformed("the addresses are cut");
  std::string_view tlvs = rest.substr(address_bytes);
  bool sum_is_right = true;
  bool whole_tlvs = walk_tlvs(tlvs, [&](uint8_t type, std::string_view value) {
    if (type == static_cast<uint8_t>(ProxyTlv::crc32c)) sum_is_right = checksum_is_right(whole, value);
    return !sum_is_right;
  });
  if (!whole_tlvs) return malformed("a TLV is cut");
  if (!sum_is_right) return malformed("wrong checksum");
  auto address = [&](size_t host_at, size_t port_at) {
    uint16_t port = number16(rest, port_at);
    return family == family_tcp4 ? Addr::inet(number32(rest, host_at), port) : Addr::inet6(rest.data() + host_at, port);
  };
  header.source = address(0, 2 * host_bytes);
  header.destination = address(host_bytes, 2 * host_bytes + 2);
  header.tlvs = tlvs;
  return done;
}

}  // namespace

ProxyParsed parse_proxy_header(std::string_view bytes, ProxyHeader& header) {
  if (bytes.empty()) return {};
  auto begins_as = [&](std::string_view mark) { return bytes.substr(0, mark.size()) == mark.substr(0, bytes.size()); };
  if (begins_as(v1_begin)) return bytes.size() < v1_begin.size() ? ProxyParsed() : parse_v1(bytes, header);
  if (begins_as(v2_signature)) return parse_v2(bytes, header);
  return malformed("no signature");
}

std::optional<ProxyTlvName> parse_proxy_tlv_name(std::string_view text) {
  struct Named {
    std::string_view name;
    ProxyTlv type;
  };
  static constexpr std::array plain = {Named{"alpn", ProxyTlv::alpn}, Named{"authority", ProxyTlv::authority},
                                       Named{"unique_id", ProxyTlv::unique_id}, Named{"ssl", ProxyTlv::ssl},
                                       Named{"netns", ProxyTlv::netns}};
  static constexpr std::array ssl = {Named{"version", ProxyTlv::ssl_version}, Named{"cn", ProxyTlv::ssl_cn},
                                     Named{"cipher", ProxyTlv::ssl_cipher}, Named{"sig_alg", ProxyTlv::ssl_sig_alg},
                                     Named{"key_alg", ProxyTlv::ssl_key_alg}};
  ProxyTlvName name;
  if (text.starts_with("ssl_")) {
    name.in_ssl = true;
    text.remove_prefix(4);
    name.is_ssl_verify = text == "verify";
    if (name.is_ssl_verify) return name;
  }
  if (text.starts_with("0x")) {
    auto number = parse_hex(text.substr(2));
    if (!number || *number > 0xff) return std::nullopt;
    name.type = static_cast<uint8_t>(*number);
    return name;
  }
  for (const Named& one : name.in_ssl ? ssl : plain) {
    if (one.name != text) continue;
    name.type = static_cast<uint8_t>(one.type);
    return name;
  }
  return std::nullopt;
}

std::optional<std::string_view> find_proxy_tlv(std::string_view tlvs, const ProxyTlvName& name) {
  auto find = [](std::string_view within, uint8_t wanted) {
    std::optional<std::string_view> found;
    walk_tlvs(within, [&](uint8_t type, std::string_view value) {
      if (type == wanted) found = value;
      return found.has_value();
    });
    return found;
  };
  if (!name.in_ssl) return find(tlvs, name.type);
  auto ssl = find(tlvs, static_cast<uint8_t>(ProxyTlv::ssl));
  if (!ssl || ssl->size() < ssl_head_bytes) return std::nullopt;
  if (name.is_ssl_verify) return ssl->substr(1, 4);
  return find(ssl->substr(ssl_head_bytes), name.type);
}

static Addr as_inet6(const Addr& addr) {
  if (addr.family() != Addr::Family::inet) return addr;
  std::string mapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  mapped += addr.bytes();
  return Addr::inet6(mapped.data(), addr.port());
}

std::string make_proxy_header(ProxyVersion version, const Addr& source, const Addr& destination) {
  bool known = source.is_ip() && destination.is_ip();
  bool inet = known && source.family() == Addr::Family::inet;
  if (known && source.family() != destination.family()) return make_proxy_header(version, as_inet6(source), as_inet6(destination));
  if (version == ProxyVersion::v1) {
    if (!known) return "PROXY UNKNOWN\r\n";
    return format("PROXY {} {} {} {} {}\r\n", inet ? "TCP4" : "TCP6", source.host_text(), destination.host_text(), source.port(),
                  destination.port());
  }
  std::string header(v2_signature);
  header += static_cast<char>(known ? command_proxy : command_local);
  header += static_cast<char>(!known ? 0 : inet ? family_tcp4 : family_tcp6);
  if (!known) {
    put16(header, 0);
    return header;
  }
  put16(header, inet ? 12 : 36);
  header += source.bytes();
  header += destination.bytes();
  put16(header, source.port());
  put16(header, destination.port());
  return header;
}

}  // namespace fairlead
