// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One pick and the end of its try, by method and number of peers.
#include <benchmark/benchmark.h>

#include "core/upstream/hash.h"
#include "core/upstream/least_conn.h"
#include "core/upstream/random.h"
#include "core/upstream/round_robin.h"

namespace fairlead {
namespace {

void pick(benchmark::State& bench, const Balancer& balancer) {
  std::vector<PeerSpec> specs(static_cast<size_t>(bench.range(0)));
  for (size_t i = 0; i < specs.size(); ++i) {
    specs[i].address = Addr::inet(0x7f000001, static_cast<uint16_t>(i + 1));
    specs[i].name = specs[i].server = specs[i].address.text();
    specs[i].weight = static_cast<uint32_t>(1 + i % 5);
  }
  PeerSet set(std::move(specs));
  set.set_index(balancer.prepare(set));
  Arena::Owner arena = Arena::open(4096);
  Random random(1);
  uint64_t tried_words = 0;
  for (auto unused : bench) {
    (void)unused;
    if (++tried_words % 1000 == 0) arena = Arena::open(4096);
    PickState state;
    PickRequest request{state, *arena, random, 1000, "some-session-key", nullptr};
    Pick picked = balancer.pick(set, request);
    benchmark::DoNotOptimize(picked.lease);
    picked.lease.finish({TryEnd::ok, 1000, 1, 2});
  }
}

const RoundRobin round_robin;
const LeastConn least_conn;
const KeyHash key_hash;
const ConsistentHash consistent;
const RandomChoice random_two(RandomChoice::Way::two_least_conn);
BENCHMARK_CAPTURE(pick, round_robin, round_robin)->Arg(1)->Arg(3)->Arg(100);
BENCHMARK_CAPTURE(pick, least_conn, least_conn)->Arg(3)->Arg(100);
BENCHMARK_CAPTURE(pick, hash, key_hash)->Arg(3)->Arg(100);
BENCHMARK_CAPTURE(pick, consistent, consistent)->Arg(3)->Arg(100);
BENCHMARK_CAPTURE(pick, random_two, random_two)->Arg(3)->Arg(100);

}  // namespace
}  // namespace fairlead
