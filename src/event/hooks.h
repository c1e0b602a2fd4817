// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// event::Hooks: how a module takes part below any protocol: in the life of a worker, in `listen` lines, and on a connection before its
// first request. Called for the modules in running order.
#pragma once

#include <span>
#include <string_view>

#include "core/conf/line.h"
#include "event/loop/task.h"

namespace fairlead {
class ListenOptions;
class Worker;
struct Client;
struct ListenPoint;
struct ListenSpec;
}
namespace fairlead::event {

// A parameter of a `listen` line as it was written.
struct ListenWord {
  Line& line;
  std::string_view word;
  std::string_view value;  // behind the `=`
  ListenSpec& spec;        // of the socket
  ListenOptions& options;  // where what the module wants is kept
};
// A parameter that a module adds to `listen`, of all engines. A name that ends in `=` takes a value.
struct ListenOption {
  std::string_view name;
  ConfResult<Unit> (*apply)(const ListenWord& given) = nullptr;
};

// What happens on a client's connection before any protocol.
struct ConnectionHook {
  // False: the connection is over (a log line has said why).
  Task<bool> (*run)(Client& client) = nullptr;
  // Asked once per listening address; nullptr: everywhere.
  bool (*applies)(const ListenPoint& point) = nullptr;
};

struct Hooks {
  // When the worker begins to serve: work of its own, run in worker.background() and cancelled with it.
  Task<Unit> (*start)(Worker& worker) = nullptr;
  // When it begins to drain: work that has to come to its end first. Awaited before the worker counts as drained, bounded by
  // worker_shutdown_timeout.
  Task<Unit> (*leave)(Worker& worker) = nullptr;
  // When it drains and nothing is left of its connections: what they left behind is sent, what they began is awaited. Bounded by
  // worker_shutdown_timeout; what only goes out to others bounds its own time.
  Task<Unit> (*finish)(Worker& worker) = nullptr;
  // When it ends, before what is left of its connections is dropped: what must not be lost is written. Never waits.
  void (*stop)(Worker& worker) = nullptr;
  // Log files were renamed (USR1): open the paths again. Never waits.
  void (*reopen)(Worker& worker) = nullptr;
  std::span<const ListenOption> listen_options = {};
  ConnectionHook connection = {};
};

}  // namespace fairlead::event
