// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/room.h"

#include "event/worker.h"

namespace fairlead {

Task<bool> find_room(Worker& worker) {
  constexpr int turns_max = 2;  // see Worker::make_room()
  for (int turn = 0; worker.make_room(true) != Room::free; ++turn) {
    if (turn == turns_max) co_return false;
    co_await Yield(worker.loop());
  }
  co_return true;
}

}  // namespace fairlead
