// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Names while a configuration loads: getaddrinfo, which blocks. At run time names are event/dns's.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/addr.h"

namespace fairlead {

// All addresses of a host with that port; the error is `host not found`. `host` may be an IPv6 address in brackets.
ConfResult<std::vector<Addr>> resolve_now(std::string_view host, uint16_t port);

}  // namespace fairlead
