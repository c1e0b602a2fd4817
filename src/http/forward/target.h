// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Target: the peers a request is forwarded to: a group of the configuration, or what a variable named at run time.
#pragma once

#include <optional>

#include "core/base/live.h"
#include "event/net/upstreams.h"
#include "http/forward/forward.h"

namespace fairlead::http {

struct Target {
  std::string_view name;                // for the log and $upstream_addr when there is no peer
  const GroupSpec* group = nullptr;     // nullptr: made at run time
  const Balancer* balancer = nullptr;
  ConnPool* pool = nullptr;
  bool fresh_only = false;              // a kept connection failed this request: from now on only new ones
  PeerQueue* queue = nullptr;           // of requests that wait for a peer; nullptr: none does
  const PeerSet* peers = nullptr;
  Live<PeerSet>::Ref pinned;            // of a group
  std::optional<PeerSet> own;           // of a run-time name

  // The group's peers as they are now.
  void use(Upstream& upstream);
};

// Of "host:port", a group's name or "unix:path" that variables gave; `default_port` 0: none. Nothing: the log says why, naming `text`.
std::optional<RuntimeTarget> read_target(Request& request, std::string_view authority, uint16_t default_port, std::string_view text);

// Finds what `target` names: a group, an address, or a host name by way of the resolver.
Task<Result<Unit>> resolve_target(Request& request, const RuntimeTarget& where, Target& target);

}  // namespace fairlead::http
