// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `http { }`: the assembly of servers, locations and listening addresses. One per generation, found through its root block.
#pragma once

#include <memory>
#include <vector>

#include "http/conf/listen.h"
#include "http/conf/server.h"

namespace fairlead::http {

struct HttpBlock {
  Block* block = nullptr;
  std::vector<Server*> servers;
  Listens listens;
};

extern const Module http_blocks_module;

// The http block of a generation, or nullptr.
HttpBlock* http_block_of(Generation& generation);
// Makes a Location for a block that the line opens inside `outer` (location, if, limit_except) and attaches it. `if` and
// `limit_except` take over the outer content.
Location& add_location(const Line& line, Block& block, Location::Match match);

}  // namespace fairlead::http
