// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// RequestWriter: the head of an HTTP/2 request as fields (RFC 9113 section 8.3.1), with the calls of h1::RequestWriter. What belongs to an
// HTTP/1 connection is left out, Host becomes :authority. Texts must live as long as `to`; names go out in lower case.
#pragma once

#include <span>
#include <utility>

#include "core/base/format.h"
#include "core/base/text.h"
#include "http/request/peer_exchange.h"

namespace fairlead::http::h2 {

class RequestWriter {
 public:
  // `to` is empty.
  RequestWriter(RequestFields& to, std::string_view method, std::string_view scheme, std::string_view path) : to_(to) {
    to.method = method;
    to.scheme = scheme;
    to.path = path;
  }
  // Makes it an extended CONNECT, before any field: what proves a WebSocket's handshake in HTTP/1.1 has no place there (RFC 8441
  // section 5).
  void connect(std::string_view protocol) {
    to_.method = "CONNECT";
    to_.protocol = protocol;
  }
  void field(std::string_view name, std::string_view value) {
    KnownHeader known = find_known_header(name);
    if (known == KnownHeader::host) {
      to_.authority = value;
      return;
    }
    if (of_connection.holds(known) || (known == KnownHeader::sec_websocket_key && !to_.protocol.empty())) return;
    if (known == KnownHeader::te && !equal_nocase(value, "trailers")) return;  // RFC 9113 section 8.2.2
    to_.fields.add(known, name, value);
  }
  void field(std::string_view name, uint64_t value) { field(name, to_.fields.arena().copy(format("{}", value))); }
  void literals(std::string_view, std::span<const std::pair<std::string_view, std::string_view>> fields) {
    for (const auto& [name, value] : fields) field(name, value);
  }
  void end() {}

 private:
  static constexpr KnownHeaderSet of_connection{KnownHeader::connection, KnownHeader::keep_alive, KnownHeader::transfer_encoding,
                                                KnownHeader::upgrade, KnownHeader::proxy_connection};
  RequestFields& to_;
};

}  // namespace fairlead::http::h2
