// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a `fault` block asks for, and what becomes of one request: its own header fields (Envoy's) and the dice decide. Pure: the numbers
// come from outside, nothing waits here.
#pragma once

#include <cstdint>
#include <functional>

#include "core/base/percent.h"
#include "core/conf/template.h"
#include "http/message/headers.h"

namespace fairlead::http::fault {

// A fault of the configuration; a share of 0: there is none.
struct Setting {
  uint64_t value = 0;  // ms, a status, a grpc-status, bytes per second
  uint32_t share = 0;  // of the requests, hundredths of a percent
};

struct Fault {
  Setting delay, abort, grpc_abort, rate;
  uint32_t headers_share = 0;  // what requests may ask for, at most so many of them; 0: their fields mean nothing
  uint64_t delay_max_ms = 60'000;  // of what a request asks for
  uint64_t active_max = 100;
  Conditions conditions;       // none: always
};

// What one request gets; 0: nothing of that kind.
struct Chosen {
  uint64_t delay_ms = 0;
  uint16_t status = 0;
  int grpc_status = -1;  // -1: none
  uint64_t rate_bytes = 0;
  bool any() const { return delay_ms != 0 || status != 0 || grpc_status >= 0 || rate_bytes != 0; }
};

// `roll(share)`: whether a request is among a share of all, hundredths of a percent. A field of the request goes before the configuration;
// one that is no number in its range means nothing. Of several aborts HTTP's status wins.
Chosen choose(const Fault& fault, const Headers& fields, const std::function<bool(uint32_t share)>& roll);

constexpr uint64_t grpc_status_max = 16;

}  // namespace fairlead::http::fault
