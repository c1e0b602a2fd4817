// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Listening sockets (placeholder for the process room: replaced by its merge).
#pragma once

#include <cstdint>

#include "core/base/addr.h"

namespace fairlead {

struct ListenSpec {
  Addr addr;
  int backlog = 511;
  int receive_buffer_bytes = 0, send_buffer_bytes = 0;  // 0: the system's
  bool reuseport = false, bind = false, deferred_accept = false;
  int fastopen = 0;
  int so_keepalive = -1, keepalive_idle_s = 0, keepalive_interval_s = 0, keepalive_count = 0;
  int ipv6_only = -1;  // -1: on, not said
};

}  // namespace fairlead
