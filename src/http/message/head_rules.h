// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a head of any protocol version may hold, and what is said of one that holds something else. The parsers apply it.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/message/known_header.h"

namespace fairlead::http {

// Which limits and tolerances a server has.
struct HeadRules {
  bool ignore_invalid_headers = true;   // drop names with other than letters, digits and '-'; off: refuse those no token may hold
  bool underscores = false;             // '_' counts as valid in names
  uint32_t headers_max = 1000;          // lines, the dropped ones included
  uint32_t line_bytes_max = 8192;       // of any line with its end
  uint32_t head_bytes_max = 4u * 8192;  // of the whole head
  bool operator==(const HeadRules&) const = default;
};

// Where the virtual servers of an address do not all have the same rules: which hold from where on a head says its host.
class HostRules {
 public:
  // `host`: as RequestHead::host. The rules live as long as this.
  virtual const HeadRules& rules_for(std::string_view host) const = 0;

 protected:
  ~HostRules() = default;
};

// Why a head is no message.
struct HeadFault {
  constexpr HeadFault() = default;
  constexpr HeadFault(uint16_t code, const char* text, std::string_view in_question = {}) : status(code), what(text), detail(in_question) {}

  uint16_t status = 0;           // what the client gets, 414 and 494 included; 502 for responses
  bool in_request_line = false;  // else in the fields
  bool lacks_host = false;       // no Host is there, and that is the fault
  int sys = 0;                   // errno, or 0
  const char* what = "";         // for the log, e.g. "client sent invalid method"
  std::string_view detail;       // the text in question, unescaped, or empty; valid as long as the buffer and the head
};

// Repeating one of these is refused: which one would the upstream believe?
inline constexpr KnownHeaderSet sent_once(
    KnownHeader::content_length, KnownHeader::transfer_encoding, KnownHeader::content_type, KnownHeader::content_encoding,
    KnownHeader::content_language, KnownHeader::content_location, KnownHeader::content_disposition, KnownHeader::content_range,
    KnownHeader::if_match, KnownHeader::if_none_match, KnownHeader::if_range, KnownHeader::if_modified_since,
    KnownHeader::if_unmodified_since, KnownHeader::authorization, KnownHeader::expect, KnownHeader::host);

inline constexpr KnownHeaderSet not_in_trailers(
    KnownHeader::content_length, KnownHeader::transfer_encoding, KnownHeader::host, KnownHeader::connection, KnownHeader::keep_alive,
    KnownHeader::proxy_connection, KnownHeader::te, KnownHeader::trailer, KnownHeader::upgrade, KnownHeader::expect,
    KnownHeader::content_type, KnownHeader::content_encoding, KnownHeader::content_range, KnownHeader::range, KnownHeader::if_match,
    KnownHeader::if_none_match, KnownHeader::if_range, KnownHeader::if_modified_since, KnownHeader::if_unmodified_since,
    KnownHeader::authorization, KnownHeader::proxy_authorization, KnownHeader::cookie, KnownHeader::set_cookie,
    KnownHeader::www_authenticate, KnownHeader::proxy_authenticate, KnownHeader::cache_control, KnownHeader::location);

}  // namespace fairlead::http
