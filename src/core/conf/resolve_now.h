// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Names while a configuration loads: getaddrinfo, which blocks. At run time names are event/dns's.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/base/addr.h"

namespace fairlead {

// All addresses of a host with that port; the error is `host not found`. `host` may be an IPv6 address in brackets.
ConfResult<std::vector<Addr>> resolve_now(std::string_view host, uint16_t port);

// One of many names, and its addresses once they are known.
struct NameToResolve {
  std::string_view host;
  uint16_t port = 0;
  std::vector<Addr> found;
};
// Asks for all of them at once, each in a child process, so that a name server that is silent costs `budget_ms` in all and no more. What is
// not known by then stays without addresses.
void resolve_all(std::span<NameToResolve> names, uint64_t budget_ms);

}  // namespace fairlead
