// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// event::Hooks: how a module takes part in the life of a worker, below any protocol. Called for the modules in running order.
#pragma once

#include "event/loop/task.h"

namespace fairlead {
class Worker;
}
namespace fairlead::event {

struct Hooks {
  // When the worker begins to serve: work of its own, run in worker.background() and cancelled with it.
  Task<Unit> (*start)(Worker& worker) = nullptr;
  // When it begins to drain: work that has to come to its end first. Awaited before the worker counts as drained, bounded by
  // worker_shutdown_timeout.
  Task<Unit> (*leave)(Worker& worker) = nullptr;
  // When it ends, before what is left of its connections is dropped: what must not be lost is written. Never waits.
  void (*stop)(Worker& worker) = nullptr;
  // Log files were renamed (USR1): open the paths again. Never waits.
  void (*reopen)(Worker& worker) = nullptr;
};

}  // namespace fairlead::event
