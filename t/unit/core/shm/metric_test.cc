// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/metric.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <memory>

namespace fairlead {
namespace {

constexpr std::string_view request_labels[] = {"server", "class"};
constexpr std::string_view host_label[] = {"host"};
constexpr double few_bounds[] = {1, 2.5};
constexpr MetricFamily requests = {.name = "requests", .kind = MetricKind::counter, .help = "Requests.", .labels = request_labels};
constexpr MetricFamily active = {.name = "active", .kind = MetricKind::gauge, .help = "Now.", .labels = host_label};
constexpr MetricFamily latency = {.name = "latency_ms", .kind = MetricKind::histogram, .help = "Time.", .bounds = few_bounds};
constexpr MetricFamily by_host = {.name = "hosts", .kind = MetricKind::counter, .help = "By host.", .labels = host_label, .series_max = 3};

// One configuration generation with all four families.
struct Loaded {
  explicit Loaded(const Loaded* previous = nullptr, MetricLimits limits = {100, 8}) : metrics(limits) {
    EXPECT_TRUE(metrics.declare(zones));
    request = *metrics.add(requests);
    now = *metrics.add(active);
    time = *metrics.add(latency);
    host = *metrics.add(by_host);
    EXPECT_TRUE(zones.attach(previous ? &previous->zones : nullptr));
    ConfResult<> opened = metrics.open();
    EXPECT_TRUE(opened) << opened.error();
  }
  const FamilySamples* find(const std::vector<FamilySamples>& all, std::string_view name) const {
    for (const FamilySamples& each : all) {
      if (each.family->name == name) return &each;
    }
    return nullptr;
  }
  ZoneSet zones;
  Metrics metrics;
  FamilyId request, now, time, host;
};

TEST(Metrics, CountersCountPerSeries) {
  Loaded loaded;
  Metrics& metrics = loaded.metrics;
  Counter good = metrics.counter(loaded.request, {"a", "2xx"}), bad = metrics.counter(loaded.request, {"a", "5xx"});
  EXPECT_NE(good.cell, bad.cell);
  EXPECT_EQ(metrics.counter(loaded.request, {"a", "2xx"}).cell, good.cell);
  EXPECT_NE(metrics.counter(loaded.request, {"a2", "xx"}).cell, good.cell);  // the border between two values counts
  metrics.add(good);
  metrics.add(good, 5);
  metrics.add(bad);
  EXPECT_EQ(metrics.sum(good), 6u);
  EXPECT_EQ(metrics.sum(bad), 1u);
}

TEST(Metrics, HistogramBucketsSumAndCount) {
  Loaded loaded;
  Histogram time = loaded.metrics.histogram(loaded.time);
  for (double value : {0.0, 1.0, 1.5, 2.5, 2.6, 1e9, -4.0}) loaded.metrics.observe(time, value);
  auto all = loaded.metrics.collect();
  const FamilySamples* family = loaded.find(all, "latency_ms");
  ASSERT_NE(family, nullptr);
  ASSERT_EQ(family->series.size(), 1u);
  EXPECT_EQ(family->series[0].buckets, (std::vector<uint64_t>{3, 2, 2}));  // a bound belongs to its bucket
  EXPECT_EQ(family->series[0].count, 7u);
  EXPECT_DOUBLE_EQ(family->series[0].value, 1e9 + 7.6);
}

TEST(Metrics, GaugesGoBothWays) {
  Loaded loaded;
  Gauge gauge = loaded.metrics.gauge(loaded.now, {"h"});
  loaded.metrics.add(gauge, 3);
  loaded.metrics.subtract(gauge);
  EXPECT_EQ(loaded.metrics.sum(gauge), 2);
  loaded.metrics.use_slot(1);
  loaded.metrics.subtract(gauge, 5);
  EXPECT_EQ(loaded.metrics.sum(gauge), -3);
  loaded.metrics.set(gauge, 10);
  EXPECT_EQ(loaded.metrics.sum(gauge), 12);
  auto all = loaded.metrics.collect();
  EXPECT_EQ(loaded.find(all, "active")->series[0].value, 12);
}

TEST(Metrics, CollectSortsFamiliesAndSeriesAndHidesTheUnused) {
  Loaded loaded;
  for (const char* server : {"b", "c", "a"}) loaded.metrics.counter(loaded.request, {server, "2xx"});
  auto all = loaded.metrics.collect();
  ASSERT_EQ(all.size(), 3u);  // a family with labels and no series has nothing to show
  EXPECT_EQ(all[0].family->name, "fairlead_metrics_folded");
  EXPECT_EQ(all[1].family->name, "latency_ms");
  EXPECT_EQ(all[2].family->name, "requests");
  ASSERT_EQ(all[2].series.size(), 3u);
  EXPECT_EQ(all[2].series[0].label_values, (std::vector<std::string_view>{"a", "2xx"}));
  EXPECT_EQ(all[2].series[2].label_values, (std::vector<std::string_view>{"c", "2xx"}));
}

TEST(Metrics, BeyondTheFamilysLimitSeriesAreFolded) {
  Loaded loaded;
  for (int i = 0; i < 5; ++i) loaded.metrics.add(loaded.metrics.counter(loaded.host, {std::to_string(i)}));
  auto all = loaded.metrics.collect();
  const FamilySamples* hosts = loaded.find(all, "hosts");
  ASSERT_EQ(hosts->series.size(), 4u);
  EXPECT_EQ(hosts->series[3].label_values[0], "other");
  EXPECT_EQ(hosts->series[3].count, 2u);
  EXPECT_EQ(loaded.find(all, "fairlead_metrics_folded")->series[0].count, 2u);
  EXPECT_NE(loaded.metrics.counter(loaded.request, {"a", "2xx"}).cell, MetricZone::sink_cell);  // the others have room
}

TEST(Metrics, BeyondTheLimitOfAllSeriesAreFoldedInEveryFamily) {
  Loaded loaded(nullptr, {10, 2});
  for (int i = 0; i < 50; ++i) {
    loaded.metrics.add(loaded.metrics.counter(loaded.request, {std::to_string(i), "2xx"}));
    loaded.metrics.add(loaded.metrics.gauge(loaded.now, {std::to_string(i)}));
  }
  auto all = loaded.metrics.collect();
  auto count = [&](std::string_view name) {
    uint64_t sum = 0;
    for (const SeriesSample& sample : loaded.find(all, name)->series) sum += sample.count + static_cast<uint64_t>(sample.value);
    return sum;
  };
  EXPECT_EQ(count("requests"), 50u);  // nothing is lost
  EXPECT_EQ(count("active"), 50u);
  EXPECT_EQ(count("fairlead_metrics_folded"), 90u);
  EXPECT_EQ(loaded.find(all, "requests")->series.size() + loaded.find(all, "active")->series.size(), 10u + 2u);
}

TEST(Metrics, LongLabelValuesAreCutAtACharacter) {
  Loaded loaded;
  std::string value(254, 'x');
  value += "\xc3\xa9";  // its second byte is the 256th
  loaded.metrics.counter(loaded.host, {value});
  loaded.metrics.counter(loaded.host, {std::string(1000, 'y')});
  auto all = loaded.metrics.collect();
  EXPECT_EQ(loaded.find(all, "hosts")->series[0].label_values[0], std::string(254, 'x'));
  EXPECT_EQ(loaded.find(all, "hosts")->series[1].label_values[0], std::string(255, 'y'));
}

TEST(Metrics, DeclarationsAreChecked) {
  Metrics metrics;
  constexpr std::string_view le[] = {"le"}, twice[] = {"a", "a"}, reserved[] = {"__a"};
  constexpr double descending[] = {2, 1};
  EXPECT_TRUE(metrics.add(requests));
  EXPECT_EQ(metrics.add(requests).error(), "duplicate metric \"requests\"");
  EXPECT_EQ(metrics.add({.name = "1x"}).error(), "invalid metric name \"1x\"");
  EXPECT_EQ(metrics.add({.name = "a-b"}).error(), "invalid metric name \"a-b\"");
  EXPECT_EQ(metrics.add({.name = "x_total"}).error(), "the name of counter \"x_total\" must not end in \"_total\": the exposition adds it");
  EXPECT_EQ(metrics.add({.name = "h", .kind = MetricKind::histogram, .labels = le}).error(), "invalid label name \"le\" in metric \"h\"");
  EXPECT_EQ(metrics.add({.name = "h", .labels = reserved}).error(), "invalid label name \"__a\" in metric \"h\"");
  EXPECT_EQ(metrics.add({.name = "h", .labels = twice}).error(), "duplicate label name \"a\" in metric \"h\"");
  EXPECT_FALSE(metrics.add({.name = "h", .kind = MetricKind::histogram, .bounds = descending}));
  std::vector<double> many(63);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<double>(i);
  EXPECT_FALSE(metrics.add({.name = "h", .kind = MetricKind::histogram, .bounds = many}));
  EXPECT_TRUE(metrics.add({.name = "h", .kind = MetricKind::histogram, .bounds = std::span(many).first(62)}));
}

TEST(Metrics, CountsSurviveAReload) {
  auto first = std::make_unique<Loaded>();
  first->metrics.add(first->metrics.counter(first->request, {"a", "2xx"}), 5);
  first->metrics.observe(first->metrics.histogram(first->time), 2);
  Loaded second(first.get());
  Counter same = second.metrics.counter(second.request, {"a", "2xx"});
  EXPECT_EQ(second.metrics.sum(same), 5u);
  first->metrics.add(first->metrics.counter(first->request, {"a", "2xx"}));  // the old generation drains
  first.reset();
  EXPECT_EQ(second.metrics.sum(same), 6u);
  auto all = second.metrics.collect();
  EXPECT_EQ(second.find(all, "latency_ms")->series[0].count, 1u);
}

TEST(Metrics, OtherBoundsOrLabelsAreAnotherSeries) {
  Loaded first;
  first.metrics.observe(first.metrics.histogram(first.time), 2);
  ZoneSet zones;
  Metrics metrics({100, 8});
  constexpr double other_bounds[] = {1, 3};
  ASSERT_TRUE(metrics.declare(zones));
  FamilyId time = *metrics.add({.name = "latency_ms", .kind = MetricKind::histogram, .bounds = other_bounds});
  ASSERT_TRUE(zones.attach(&first.zones));
  ASSERT_TRUE(metrics.open());
  metrics.observe(metrics.histogram(time), 2);
  auto all = metrics.collect();
  ASSERT_EQ(all.size(), 2u);  // and what only the old generation has is not shown
  EXPECT_EQ(all[1].series[0].buckets, (std::vector<uint64_t>{0, 1, 0}));
}

TEST(Metrics, ForkedWritersLoseNothing) {
  constexpr int workers = 4, rounds = 20'000;
  Loaded loaded;
  Metrics& metrics = loaded.metrics;
  Counter before_fork = metrics.counter(loaded.request, {"a", "2xx"});
  for (uint32_t slot = 1; slot <= workers; ++slot) {
    if (fork() == 0) {
      metrics.use_slot(slot);
      Histogram time = metrics.histogram(loaded.time);
      Gauge gauge = metrics.gauge(loaded.now, {"h"});
      for (int i = 0; i < rounds; ++i) {
        metrics.add(before_fork);
        metrics.observe(time, 2);
        metrics.add(gauge);
        metrics.add(metrics.counter(loaded.request, {std::to_string(i % 20), "4xx"}));  // made by whoever comes first
      }
      _exit(0);
    }
  }
  int status;
  while (wait(&status) > 0) EXPECT_EQ(status, 0);
  EXPECT_EQ(metrics.sum(before_fork), uint64_t{workers} * rounds);
  Gauge gauge = metrics.gauge(loaded.now, {"h"});
  EXPECT_EQ(metrics.sum(gauge), int64_t{workers} * rounds);
  metrics.reset_gauges(2);
  EXPECT_EQ(metrics.sum(gauge), int64_t{workers - 1} * rounds);
  EXPECT_EQ(metrics.sum(before_fork), uint64_t{workers} * rounds);
  metrics.reset_gauges(7);  // a slot that never counted
  auto all = metrics.collect();
  const FamilySamples* family = loaded.find(all, "requests");
  ASSERT_EQ(family->series.size(), 21u);
  uint64_t sum = 0;
  for (const SeriesSample& sample : family->series) sum += sample.count;
  EXPECT_EQ(sum, uint64_t{workers} * rounds * 2);
  EXPECT_EQ(loaded.find(all, "latency_ms")->series[0].count, uint64_t{workers} * rounds);
  EXPECT_DOUBLE_EQ(loaded.find(all, "latency_ms")->series[0].value, 2.0 * workers * rounds);
}

TEST(Metrics, WorkersKilledWhileMakingSeriesLeaveAWholeRegistry) {
  Loaded loaded(nullptr, {100'000, 4});
  Metrics& metrics = loaded.metrics;
  int repaired = 0;
  for (int round = 0; round < 40 || (repaired == 0 && round < 2000); ++round) {  // a busy machine may not let any begin
    pid_t id = fork();
    if (id == 0) {
      metrics.use_slot(1);
      for (int i = 0;; ++i) metrics.add(metrics.counter(loaded.request, {std::to_string(round), std::to_string(i)}));
    }
    timespec time = {0, 1'000'000};
    nanosleep(&time, nullptr);
    kill(id, SIGKILL);
    waitpid(id, nullptr, 0);
    repaired += loaded.zones.break_locks(id);
    metrics.counter(loaded.request, {"after", std::to_string(round)});
  }
  EXPECT_GT(repaired, 0);
  auto all = metrics.collect();
  const FamilySamples* family = loaded.find(all, "requests");
  for (const SeriesSample& sample : family->series) {
    ASSERT_EQ(sample.label_values.size(), 2u);
    if (sample.label_values[0] == "other") continue;  // a fast machine fills the registry
    ASSERT_LE(sample.count, 1u);
    uint32_t cell = metrics.counter(loaded.request, LabelValues(std::span<const std::string_view>(sample.label_values))).cell;
    ASSERT_EQ(metrics.sum(Counter{cell}), sample.count);  // found again under its labels
  }
  auto again = metrics.collect();
  EXPECT_EQ(loaded.find(again, "requests")->series.size(), family->series.size());  // the search above made none
}

}  // namespace
}  // namespace fairlead
