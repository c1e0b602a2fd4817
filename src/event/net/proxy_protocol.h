// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): what a proxy in front says of the connection it passes on. Pure
// bytes; who waits for them is modules/proxy_protocol.cc, who sends them is the connector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/addr.h"

namespace fairlead {

// A header of version 2 may be longer by its own account (64 KiB); more than this is refused, as in nginx.
constexpr size_t proxy_header_bytes_max = 4096;

struct ProxyHeader {
  // Both invalid if the proxy says nothing about them: UNKNOWN, LOCAL, or a kind of address that is not TCP over IP.
  Addr source, destination;
  std::string tlvs;  // of version 2, as they came
};

struct ProxyParsed {
  enum class State : uint8_t { need_more, done, malformed } state = State::need_more;
  size_t bytes = 0;               // done: of the header
  std::string_view problem = {};  // malformed
};
// `bytes`: all that came so far, from the connection's first byte on. Fills `header` when done.
ProxyParsed parse_proxy_header(std::string_view bytes, ProxyHeader& header);

// The types of the TLVs that have names.
enum class ProxyTlv : uint8_t {
  alpn = 0x01,
  authority = 0x02,
  crc32c = 0x03,
  unique_id = 0x05,
  ssl = 0x20,
  ssl_version = 0x21,  // this and the next four: within `ssl`
  ssl_cn = 0x22,
  ssl_cipher = 0x23,
  ssl_sig_alg = 0x24,
  ssl_key_alg = 0x25,
  netns = 0x30,
};
// Where a value is: of which type, and whether within the `ssl` one.
struct ProxyTlvName {
  uint8_t type = 0;
  bool in_ssl = false;
  bool is_ssl_verify = false;  // not a TLV: the number in the head of `ssl`
};
// "alpn", "0x01", "ssl_cn", "ssl_0x22", "ssl_verify"; nothing for what is no name.
std::optional<ProxyTlvName> parse_proxy_tlv_name(std::string_view text);
// The first value of that name; nothing if there is none. For ssl_verify the four bytes of the number, in network order.
std::optional<std::string_view> find_proxy_tlv(std::string_view tlvs, const ProxyTlvName& name);

enum class ProxyVersion : uint8_t { v1 = 1, v2 = 2 };
// The header to send ahead for a connection from `source` to `destination`: UNKNOWN (LOCAL in version 2) unless both are IP addresses. Of
// two families, as after a front server told of a client of the other one, the IPv4 address goes as ::ffff:a.b.c.d, as from haproxy.
std::string make_proxy_header(ProxyVersion version, const Addr& source, const Addr& destination);

}  // namespace fairlead
