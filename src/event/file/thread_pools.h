// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `thread_pool`: the threads for file calls by name. A worker makes a pool when something first asks for it; "default" is always there.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/conf/module.h"
#include "event/file/blocking.h"

namespace fairlead {

class Generation;
class Worker;

struct ThreadPoolSpec {
  std::string_view name;
  unsigned threads = 32;
  size_t queue_max = 65536;
};

struct ThreadPoolsConf {
  std::vector<ThreadPoolSpec> pools;
};

extern const Module thread_pools_module;

// The line for `name`; nullptr: there is none, and it is not "default".
const ThreadPoolSpec* find_thread_pool(Generation& generation, std::string_view name);

// State of a worker: the pools beside "default", which is Worker::files().
class ThreadPools {
 public:
  explicit ThreadPools(Worker& worker) : worker_(worker) {}
  // nullptr: no line has that name.
  BlockingPool* find(std::string_view name);

 private:
  Worker& worker_;
  std::vector<std::unique_ptr<BlockingPool>> made_;
};

}  // namespace fairlead
