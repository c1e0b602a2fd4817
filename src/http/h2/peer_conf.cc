// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/peer_conf.h"

#include <climits>

#include "core/base/format.h"
#include "core/conf/block.h"

namespace fairlead::http::h2 {

ConfResult<Unit> check_peer_limits(Block& block, const PeerLimits& limits, std::string_view prefix) {
  auto refuse = [&](std::string_view name, std::string_view reason) {
    return format("\"{}_{}\" {}{}\n", prefix, name, reason, at_place(block.place()));
  };
  if (limits.streams_max == 0) return refuse("max_streams", "must not be 0");
  if (limits.ping_interval != 0 && limits.ping_timeout == 0) return refuse("ping_timeout", "must not be 0");
  if (limits.window == 0 || limits.window > INT32_MAX) return refuse("window_size", "must be between 1 and 2147483647");
  return Unit();
}

}  // namespace fairlead::http::h2
