// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Groups whose peers' states workers share: the `zone` of an upstream gets its PeerTable, each group its part in it. Called by who owns
// generations and workers, in this order: attach before the fork, join in the worker, forget in the master when a worker has ended.
#pragma once

#include <cstdint>

#include "core/base/error.h"

namespace fairlead {

class Generation;

// In the master, after ZoneSet::attach(). From here on the generation holds a reference to each of its peers' states, so that they outlive
// workers and pass from one generation to the next. The error is nginx's, for a zone that is too small.
ConfResult<Unit> attach_peer_zones(Generation& generation);
// In a worker, before it serves: its place among the counters of connections. A single process needs no call: it has the master's slot.
void join_peer_zones(Generation& generation, uint32_t slot);
// In the master, locks being broken: the connections that the worker of that slot had are gone.
void forget_peer_zones(Generation& generation, uint32_t slot);

}  // namespace fairlead
