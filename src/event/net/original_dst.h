// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Where a client wanted to go before the kernel sent its connection here (REDIRECT or TPROXY rules). Filled by modules/original_dst.cc into
// Client::slots; looked at by whoever forwards, so that no connection is forwarded to the listener it came in by.
#pragma once

#include <optional>

#include "core/base/addr.h"

namespace fairlead {

struct OriginalDestination {
  Addr addr;            // invalid: unknown
  bool is_own = false;  // it is the listener itself: the client was not redirected, and going there would go in circles
};

// The destination that a REDIRECT (DNAT) rule replaced, as the kernel's connection tracking knows it; nothing if it knows of none.
std::optional<Addr> redirected_from(int fd);

// Whether `to` is what a listening socket bound to `bound` accepts: the same address, or the same port under a wildcard that `reached`, an
// address of this host by which the connection came in, shows to be meant.
bool is_own_listener(const Addr& to, const Addr& bound, const Addr& reached);

// Whether `addr` is an address of this host: a socket can be bound to it. Costs three system calls.
bool is_host_address(Addr addr);

}  // namespace fairlead
