// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Host and port as a Host header, an absolute target or :authority names them (RFC 3986 section 3.2, without user information).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/arena.h"

namespace fairlead::http {

struct Authority {
  std::string_view host;  // lower case, no trailing dot; IPv6 in brackets; never empty
  uint16_t port = 0;      // 0: none, or empty after the colon
  bool has_port = false;
};

// Nothing if `text` is no host with optional port (at most 65535). The host is a view of `text` unless it had upper-case letters: then
// of the arena.
std::optional<Authority> parse_authority(std::string_view text, Arena& arena);

}  // namespace fairlead::http
