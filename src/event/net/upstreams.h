// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Upstreams: what a worker keeps per upstream group: the current peers, the pool of idle connections, the random numbers for picking. State
// of the worker (Worker::state<Upstreams>). What is forwarded is not known here.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/base/live.h"
#include "core/base/random.h"
#include "core/upstream/group.h"
#include "event/net/conn_pool.h"
#include "event/worker.h"

namespace fairlead {

// One group at work.
class Upstream {
 public:
  Upstream(Loop& loop, const GroupSpec& group_spec);
  const GroupSpec& spec;
  Live<PeerSet> peers;
  ConnPool pool;
  // Replaces the peers by `specs` (a name resolved anew); unchanged peers keep their state.
  void replace(std::vector<PeerSpec> specs);
};

class Upstreams {
 public:
  explicit Upstreams(Worker& worker);
  Upstream& of(const GroupSpec& group);
  std::span<const std::unique_ptr<Upstream>> all() const { return all_; }
  Random& random() { return random_; }
  // For targets that only a variable names.
  ConnPool& shared_pool() { return shared_pool_; }

 private:
  Worker& worker_;
  Random random_;
  std::vector<std::unique_ptr<Upstream>> all_;
  ConnPool shared_pool_;
};

}  // namespace fairlead
