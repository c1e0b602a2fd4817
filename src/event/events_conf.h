// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `events { }`: how a worker takes connections.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/addr.h"
#include "core/conf/module.h"
#include "core/conf/value.h"

namespace fairlead {

struct EventsConf {
  uint64_t worker_connections = 512;
  bool multi_accept = false;
  std::string_view use;               // empty: the best facility
  std::vector<Cidr> debug_connection;
  bool is_present = false;
};

extern const Module events_module;

}  // namespace fairlead
