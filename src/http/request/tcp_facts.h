// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the kernel knows of a client's TCP connection, for $tcpinfo_*.
#pragma once

#include <cstdint>
#include <optional>

#include "core/conf/session.h"

namespace fairlead::http {

struct TcpFacts {
  uint32_t round_trip_us = 0, round_trip_deviation_us = 0;
  uint32_t congestion_window = 0;  // segments that may be under way
  uint32_t receive_bytes = 0;      // room for what the client sends
};

// As they are now; of a session without a connection of its own, the ones in its connection's slots. None if the kernel tells nothing.
std::optional<TcpFacts> tcp_facts(const Session& session);

}  // namespace fairlead::http
