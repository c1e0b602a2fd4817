// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What counting costs on the hot path: an increment by handle must stay below 2 ns.
#include <benchmark/benchmark.h>

#include "core/shm/metric.h"

namespace fairlead {
namespace {

constexpr std::string_view labels[] = {"server", "class"};

struct Registry {
  Registry() {
    FL_ASSERT(metrics.declare(zones).ok());
    count = *metrics.add({.name = "count", .kind = MetricKind::counter, .labels = labels});
    time = *metrics.add({.name = "time", .kind = MetricKind::histogram});
    FL_ASSERT(zones.attach(nullptr).ok() && metrics.open().ok());
  }
  ZoneSet zones;
  Metrics metrics;
  FamilyId count, time;
};

void increment(benchmark::State& state) {
  Registry registry;
  Counter counter = registry.metrics.counter(registry.count, {"a", "2xx"});
  benchmark::DoNotOptimize(counter);
  for (auto _ : state) {
    registry.metrics.add(counter);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(increment);

void observe(benchmark::State& state) {
  Registry registry;
  Histogram histogram = registry.metrics.histogram(registry.time);
  double value = 3;
  for (auto _ : state) {
    benchmark::DoNotOptimize(value);
    registry.metrics.observe(histogram, value);
  }
}
BENCHMARK(observe);

void find_series_by_labels(benchmark::State& state) {
  Registry registry;
  for (auto _ : state) benchmark::DoNotOptimize(registry.metrics.counter(registry.count, {"www.example.com", "2xx"}).cell);
}
BENCHMARK(find_series_by_labels);

void lock_and_unlock(benchmark::State& state) {
  ZoneSet zones;
  Zone* zone = *zones.declare("z", zone_bytes_min, &zones);
  FL_ASSERT(zones.attach(nullptr).ok());
  for (auto _ : state) {
    ShmLockGuard guard = zone->lock();
    benchmark::ClobberMemory();
  }
}
BENCHMARK(lock_and_unlock);

}  // namespace
}  // namespace fairlead
