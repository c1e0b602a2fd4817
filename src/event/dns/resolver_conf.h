// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `resolver` and `resolver_timeout`: which name servers a block asks, and the worker's Resolver for them. Without a `resolver` line the
// system's own configuration is asked (nginx refuses to resolve at run time then).
#pragma once

#include <memory>
#include <vector>

#include "core/conf/module.h"
#include "core/conf/value.h"
#include "event/dns/resolver.h"
#include "event/worker.h"

namespace fairlead {

struct ResolverConf {
  const ResolverOptions* options = nullptr;  // nullptr: the system's
  bool off = false;
  Msec timeout{30'000};
};

extern const Module resolver_module;

// The worker's resolvers, one per `resolver` line, opened when first used.
class Resolvers {
 public:
  explicit Resolvers(Worker& worker) : worker_(worker) {}
  // nullptr: it could not be opened (said in the log).
  Resolver* of(const ResolverConf& conf);

 private:
  Worker& worker_;
  std::vector<std::pair<const ResolverOptions*, std::unique_ptr<Resolver>>> all_;
};

}  // namespace fairlead
