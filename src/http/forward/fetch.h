// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// fetch(): one request of the server's own to one peer, for modules that talk to a service beside the traffic (exporters, policies): no
// client, the reply in memory, no retries but the one that a kept connection may ask for. Rides the connections of the given pool and
// protocol. Which address, and what a reply means, is the caller's.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/request/peer_exchange.h"

namespace fairlead::http {

struct FetchPlan {
  const PeerProtocol& protocol;
  AttemptTarget target;  // what it points to outlives the fetch
  std::string_view method = "POST";
  Method method_of = Method::post;
  std::string_view scheme = "http", authority, path;  // these and the fields outlive the fetch
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  std::string body;
  bool may_repeat = false;              // acting on it twice does no harm: sent once more if a kept connection ends before it answers
  uint64_t timeout_ms = 10'000;         // of the whole
  size_t reply_bytes_max = 64 * 1024;   // of the body
};

struct Fetched {
  Arena::Owner arena;              // holds the head and the trailers
  ResponseHead* head = nullptr;
  const Headers* trailers = nullptr;  // nullptr: none
  std::string body;

  // Of the trailers, or of the head where there are none (gRPC's trailers-only responses). Empty: there is none.
  std::string_view last_field(std::string_view name) const;
};

// Errors: those of the exchange, timeout of the whole, too_large.
Task<Result<Fetched>> fetch(Worker& worker, Logger logger, FetchPlan plan);

}  // namespace fairlead::http
