// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The frames of a WebSocket: whole, byte by byte and frame by frame they end at the same place.
#include <cstdint>
#include <cstdlib>

#include "http/forward/websocket.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using fairlead::http::WebSocketFrames;
  std::string_view input(reinterpret_cast<const char*>(bytes), size);
  WebSocketFrames whole, single, framed;
  if (whole.take(input, false) != input.size()) std::abort();
  for (size_t at = 0; at < input.size(); ++at)
    if (single.take(input.substr(at, 1), at % 2 == 0) != 1) std::abort();
  for (size_t at = 0; at < input.size();) {
    size_t taken = framed.take(input.substr(at), true);
    at += taken;
    if (taken == 0 || (at < input.size() && !framed.is_between())) std::abort();
  }
  for (const WebSocketFrames* other : {&single, &framed})
    if (other->is_between() != whole.is_between() || other->has_closed() != whole.has_closed()) std::abort();
  return 0;
}
