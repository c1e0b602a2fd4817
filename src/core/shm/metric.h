// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The metric registry: counters, gauges and histograms, counted per worker slot in one zone, so that an increment is a plain add to
// memory no other process writes. Reading sums over the slots. A Metrics belongs to a configuration generation; series and their counts
// outlive it while family, labels and bounds stay the same. How samples are written out is exposition.h; what is counted is the
// modules' business. Event-loop thread only.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/shm/metric_zone.h"
#include "core/shm/shm.h"

namespace fairlead {

// Upper bounds of the buckets of a latency in milliseconds; the bucket above the last needs no entry.
inline constexpr double latency_bounds_ms[] = {0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000};

// A row of a module's metric table. The texts must outlive the Metrics (literals, the generation's arena).
struct MetricFamily {
  std::string_view name = {};  // a counter's without "_total"
  MetricKind kind = MetricKind::counter;
  std::string_view help = {};
  std::span<const std::string_view> labels = {};       // names
  std::span<const double> bounds = latency_bounds_ms;  // histograms: ascending, at most 62
  uint32_t series_max = 0;                             // beyond them "other"; 0: only the registry's own limit
};

using FamilyId = uint32_t;

// One per label name, in the family's order. Cut at label_bytes_max bytes.
class LabelValues {
 public:
  LabelValues() = default;
  LabelValues(std::initializer_list<std::string_view> values) : values_(values.begin(), values.size()) {}  // for one full expression
  LabelValues(std::span<const std::string_view> values) : values_(values) {}
  std::span<const std::string_view> get() const { return values_; }

 private:
  std::span<const std::string_view> values_;
};
constexpr size_t label_bytes_max = 255;

// Handles of a series: found once, then cheap. Valid in the process (and its forks) as long as the Metrics they came from.
struct Counter {
  uint32_t cell = MetricZone::sink_cell;
};
struct Gauge {
  uint32_t cell = MetricZone::sink_cell;
};
struct Histogram {
  uint32_t cell = MetricZone::sink_cell;  // one per bound, one above, then the sum
  uint32_t bound_count = 0;
  const double* bounds = nullptr;
};

// One series as read. The label values lie in the zone.
struct SeriesSample {
  std::vector<std::string_view> label_values;
  uint64_t count = 0;              // counter; histogram: all observations
  double value = 0;                // gauge; histogram: the sum
  std::vector<uint64_t> buckets;  // histogram: observations per bucket (not cumulative), the last above all bounds
};
struct FamilySamples {
  const MetricFamily* family = nullptr;
  std::vector<SeriesSample> series;
};

class Metrics {
 public:
  explicit Metrics(MetricLimits limits = {}) : limits_(limits) {}
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // 1. While the configuration loads: the zone, and families. A reason if the name or a label is not allowed or already there.
  ConfResult<> declare(ZoneSet& zones);
  ConfResult<FamilyId> add(const MetricFamily& family);

  // 2. After ZoneSet::attach(), before fork. From here on series can be made and counted, for the master's slot.
  ConfResult<> open();
  bool is_open() const { return shared_ != nullptr; }
  // 3. In a worker after fork: what it counts goes to `slot`.
  void use_slot(uint32_t slot);

  // The series of these label values, made if need be, in any process. Beyond the limits the answer is the family's series "other"
  // (without labels there is always room). A short search without a lock if it exists, else takes the zone's lock for a moment.
  Counter counter(FamilyId family, LabelValues labels = {});
  Gauge gauge(FamilyId family, LabelValues labels = {});
  Histogram histogram(FamilyId family, LabelValues labels = {});

  void add(Counter counter, uint64_t n = 1) { bump(own_[counter.cell], n); }
  void add(Gauge gauge, int64_t n = 1) { bump(own_[gauge.cell], static_cast<uint64_t>(n)); }
  void subtract(Gauge gauge, int64_t n = 1) { bump(own_[gauge.cell], uint64_t{0} - static_cast<uint64_t>(n)); }
  // This slot's part of it.
  void set(Gauge gauge, int64_t value) { own_[gauge.cell].store(static_cast<uint64_t>(value), std::memory_order_relaxed); }
  // A value below 0 (a clock that was set) counts as 0.
  void observe(Histogram histogram, double value);

  // For the master, after it reaped the worker of `slot`: nothing that the dead one held is counted any longer. Counters stay.
  void reset_gauges(uint32_t slot);

  // Sums over all slots.
  uint64_t sum(Counter counter) const { return sum_cell(counter.cell); }
  int64_t sum(Gauge gauge) const { return static_cast<int64_t>(sum_cell(gauge.cell)); }
  // Everything, families by name, series by label values. "other" only if something was counted there.
  std::vector<FamilySamples> collect() const;

 private:
  struct Family {
    MetricFamily spec;
    std::string prefix;   // begins the keys of its series: a signature of kind, bounds and label names, then the name
    uint32_t root = MetricZone::not_found;
  };
  static void bump(MetricZone::Cell& cell, uint64_t n) {
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void repair();
  static uint32_t cells_of(const MetricFamily& family);
  ConfResult<> check(const MetricFamily& family) const;
  MetricZone::Wanted wanted(const Family& family, std::string_view key) const;
  std::string key_of(const Family& family, std::span<const std::string_view> values) const;
  uint32_t cell_of(FamilyId id, MetricKind kind, LabelValues labels);
  uint32_t fold(const Family& family);
  uint64_t sum_cell(uint32_t cell) const;
  SeriesSample sample(const Family& family, uint32_t index) const;

  MetricLimits limits_;
  Zone* zone_ = nullptr;
  MetricZone* shared_ = nullptr;
  MetricZone::Cell* own_ = nullptr;
  std::vector<Family> families_;
  FamilyId folded_family_ = 0;
  Counter folded_;
};

}  // namespace fairlead
