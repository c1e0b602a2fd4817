// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Who the client is according to trusted proxies: the walk through a list as in X-Forwarded-For. Pure; for geo and realip.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "core/base/addr.h"

namespace fairlead {

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1" or "[2001:db8::1]:80".
std::optional<Addr> parse_forwarded_addr(std::string_view text);

// As long as an address is one of `trusted`, the next one of `list` (from its end; parts are separated by commas and spaces) takes its
// place; unless `recursive`, only once. What is no address ends the walk at the one before it. Starts at, and gives at least, `peer`.
Addr forwarded_addr(const Addr& peer, std::string_view list, std::span<const Cidr> trusted, bool recursive);

}  // namespace fairlead
