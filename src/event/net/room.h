// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Room for connections to peers among the worker's (worker_connections). Whoever makes one waits for it, then takes a ConnectionSlot before
// the next wait: whoever looks meanwhile must see it taken.
#pragma once

#include "event/loop/task.h"

namespace fairlead {

class Worker;

// For one more connection, made if need be: of idle clients, of idle connections to peers. False: there is none.
Task<bool> find_room(Worker& worker);

}  // namespace fairlead
