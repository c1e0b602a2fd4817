// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/metric.h"

#include <algorithm>
#include <unordered_map>

#include "core/base/format.h"
#include "core/base/hash.h"

namespace fairlead {
namespace {

const char metrics_owner = 0;  // its address
constexpr std::string_view zone_name = "fairlead_metrics";
constexpr std::string_view other = "other";
constexpr MetricFamily folded_spec = {.name = "fairlead_metrics_folded",
                                      .kind = MetricKind::counter,
                                      .help = "Lookups of a new series that found no room and were counted under \"other\"."};

bool is_name(std::string_view name, bool colon_allowed) {
  auto is_letter = [&](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon_allowed && c == ':'); };
  if (name.empty() || !is_letter(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

bool ascends(std::span<const double> bounds) {
  for (size_t i = 1; i < bounds.size(); ++i) {
    if (!(bounds[i - 1] < bounds[i])) return false;
  }
  return true;
}

// Series of families that differ in any of this must not meet.
std::string prefix_of(const MetricFamily& family) {
  uint64_t signature = hash_number(static_cast<uint64_t>(family.kind));
  if (family.kind == MetricKind::histogram) {
    for (double bound : family.bounds) signature = hash_number(signature ^ std::bit_cast<uint64_t>(bound));
  }
  for (std::string_view label : family.labels) signature = hash_bytes(label, signature);
  std::string prefix(reinterpret_cast<const char*>(&signature), sizeof(signature));
  prefix.append(family.name);
  prefix.push_back('\0');
  return prefix;
}

// The `limit` first bytes or less: no character of UTF-8 is cut in two.
std::string_view cut(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > limit - 3 && (text[end] & '\xc0') == '\x80') --end;
  return text.substr(0, end);
}

}  // namespace

ConfResult<> Metrics::declare(ZoneSet& zones) {
  ConfResult<FamilyId> folded = add(folded_spec);
  if (!folded) return folded.error();
  folded_family_ = *folded;
  ConfResult<Zone*> zone = zones.declare(zone_name, MetricZone::bytes(limits_), &metrics_owner);
  if (!zone) return zone.error();
  zone_ = *zone;
  return Unit();
}

ConfResult<> Metrics::check(const MetricFamily& family) const {
  if (!is_name(family.name, true)) return format("invalid metric name \"{}\"", family.name);
  if (family.kind == MetricKind::counter && family.name.ends_with("_total")) {
    return format("the name of counter \"{}\" must not end in \"_total\": the exposition adds it", family.name);
  }
  for (const Family& each : families_) {
    if (each.spec.name == family.name) return format("duplicate metric \"{}\"", family.name);
  }
  for (std::string_view label : family.labels) {
    if (!is_name(label, false) || label.starts_with("__") || (family.kind == MetricKind::histogram && label == "le")) {
      return format("invalid label name \"{}\" in metric \"{}\"", label, family.name);
    }
    if (std::count(family.labels.begin(), family.labels.end(), label) > 1) {
      return format("duplicate label name \"{}\" in metric \"{}\"", label, family.name);
    }
  }
  if (family.kind == MetricKind::histogram && (!ascends(family.bounds) || cells_of(family) > MetricZone::cells_per_series_max)) {
    return format("the bounds of metric \"{}\" must ascend and be at most {}", family.name, MetricZone::cells_per_series_max - 2);
  }
  return Unit();
}

ConfResult<FamilyId> Metrics::add(const MetricFamily& family) {
  FL_ASSERT(!shared_);
  FL_TRY(check(family));
  families_.push_back({family, prefix_of(family)});
  return static_cast<FamilyId>(families_.size() - 1);
}

uint32_t Metrics::cells_of(const MetricFamily& family) {
  return family.kind == MetricKind::histogram ? static_cast<uint32_t>(family.bounds.size()) + 2 : 1;
}

MetricZone::Wanted Metrics::wanted(const Family& family, std::string_view key) const {
  return {.key = key, .kind = family.spec.kind, .cells = cells_of(family.spec), .root = family.root, .members_max = family.spec.series_max};
}

std::string Metrics::key_of(const Family& family, std::span<const std::string_view> values) const {
  FL_ASSERT(values.size() == family.spec.labels.size());
  std::string key = family.prefix;
  for (std::string_view value : values) {
    value = cut(value, label_bytes_max);
    key.push_back(static_cast<char>(value.size()));
    key.append(value);
  }
  return key;
}

ConfResult<> Metrics::open() {
  FL_ASSERT(zone_ && zone_->attached() && !shared_);
  // Before the first lock: a zone that was taken over may be dirty, and workers of the earlier generation count in it.
  zone_->set_repair({[](void* metrics) { static_cast<Metrics*>(metrics)->repair(); }, this});
  {
    ShmLockGuard guard = zone_->lock();
    shared_ = MetricZone::in(*zone_, limits_);
    if (!shared_) return format("zone \"{}\" is too small", zone_name);
    for (Family& family : families_) {
      std::vector<std::string_view> values(family.spec.labels.size(), other);
      family.root = shared_->find_or_add(wanted(family, key_of(family, values)));
      if (family.root == MetricZone::not_found) return format("too many metrics: no room for \"{}\"", family.spec.name);
    }
  }
  use_slot(0);
  folded_ = counter(folded_family_);
  return Unit();
}

void Metrics::repair() {
  if (auto* shared = zone_->root<MetricZone>()) shared->rebuild();
}

void Metrics::use_slot(uint32_t slot) {
  FL_ASSERT(shared_);
  shared_->use_slot(slot);
  own_ = shared_->cells(slot);
}

uint32_t Metrics::fold(const Family& family) {
  shared_->series(family.root).used.store(true, std::memory_order_relaxed);
  add(folded_);
  return shared_->series(family.root).first_cell;
}

uint32_t Metrics::cell_of(FamilyId id, MetricKind kind, LabelValues labels) {
  FL_ASSERT(shared_ && id < families_.size());
  const Family& family = families_[id];
  FL_ASSERT(family.spec.kind == kind);
  if (family.spec.labels.empty()) {
    FL_ASSERT(labels.get().empty());
    return shared_->series(family.root).first_cell;
  }
  std::string key = key_of(family, labels.get());
  uint32_t index = shared_->find(key);
  if (index == MetricZone::not_found) {
    ShmLockGuard guard = zone_->lock();
    index = shared_->find_or_add(wanted(family, key));
  }
  if (index == MetricZone::not_found) return fold(family);
  if (index == family.root) shared_->series(index).used.store(true, std::memory_order_relaxed);  // somebody is really called "other"
  return shared_->series(index).first_cell;
}

Counter Metrics::counter(FamilyId family, LabelValues labels) { return {cell_of(family, MetricKind::counter, labels)}; }

Gauge Metrics::gauge(FamilyId family, LabelValues labels) { return {cell_of(family, MetricKind::gauge, labels)}; }

Histogram Metrics::histogram(FamilyId family, LabelValues labels) {
  uint32_t cell = cell_of(family, MetricKind::histogram, labels);
  std::span<const double> bounds = families_[family].spec.bounds;
  return {cell, static_cast<uint32_t>(bounds.size()), bounds.data()};
}

void Metrics::observe(Histogram histogram, double value) {
  if (!(value > 0)) value = 0;
  uint32_t bucket = 0;
  while (bucket < histogram.bound_count && value > histogram.bounds[bucket]) ++bucket;
  MetricZone::Cell* cells = own_ + histogram.cell;
  bump(cells[bucket], 1);
  MetricZone::Cell& sum = cells[histogram.bound_count + 1];
  double before = std::bit_cast<double>(sum.load(std::memory_order_relaxed));
  sum.store(std::bit_cast<uint64_t>(before + value), std::memory_order_relaxed);
}

void Metrics::reset_gauges(uint32_t slot) {
  FL_ASSERT(shared_);
  if (slot >= shared_->slots_used()) return;
  MetricZone::Cell* cells = shared_->cells(slot);
  for (uint32_t i = 0; i < shared_->count(); ++i) {
    const MetricZone::Series& series = shared_->series(i);
    if (series.kind == MetricKind::gauge) cells[series.first_cell].store(0, std::memory_order_relaxed);
  }
}

uint64_t Metrics::sum_cell(uint32_t cell) const {
  uint64_t sum = 0;
  for (uint32_t slot = 0; slot < shared_->slots_used(); ++slot) sum += shared_->cells(slot)[cell].load(std::memory_order_relaxed);
  return sum;
}

SeriesSample Metrics::sample(const Family& family, uint32_t index) const {
  const MetricZone::Series& series = shared_->series(index);
  SeriesSample sample;
  std::string_view key = shared_->key_of(index).substr(family.prefix.size());
  while (!key.empty()) {
    size_t size = static_cast<unsigned char>(key[0]);
    sample.label_values.push_back(key.substr(1, size));
    key.remove_prefix(1 + size);
  }
  switch (series.kind) {
    case MetricKind::counter: sample.count = sum_cell(series.first_cell); break;
    case MetricKind::gauge: sample.value = static_cast<double>(static_cast<int64_t>(sum_cell(series.first_cell))); break;
    case MetricKind::histogram: {
      uint32_t sum_at = series.first_cell + series.cells - 1u;
      for (uint32_t cell = series.first_cell; cell < sum_at; ++cell) {
        sample.buckets.push_back(sum_cell(cell));
        sample.count += sample.buckets.back();
      }
      for (uint32_t slot = 0; slot < shared_->slots_used(); ++slot) {
        sample.value += std::bit_cast<double>(shared_->cells(slot)[sum_at].load(std::memory_order_relaxed));
      }
    }
  }
  return sample;
}

std::vector<FamilySamples> Metrics::collect() const {
  FL_ASSERT(shared_);
  std::unordered_map<uint32_t, const Family*> by_root;
  std::unordered_map<uint32_t, size_t> place;
  for (const Family& family : families_) by_root[family.root] = &family;
  std::vector<FamilySamples> all;
  for (uint32_t i = 0; i < shared_->count(); ++i) {
    const MetricZone::Series& series = shared_->series(i);
    auto found = by_root.find(series.root);
    if (found == by_root.end()) continue;  // of a family that this generation does not have
    const Family& family = *found->second;
    if (series.root == i && !family.spec.labels.empty() && !series.used.load(std::memory_order_relaxed)) continue;
    auto [at, fresh] = place.try_emplace(series.root, all.size());
    if (fresh) all.push_back({&family.spec, {}});
    all[at->second].series.push_back(sample(family, i));
  }
  auto by_labels = [](const SeriesSample& a, const SeriesSample& b) { return a.label_values < b.label_values; };
  for (FamilySamples& each : all) std::sort(each.series.begin(), each.series.end(), by_labels);
  auto by_name = [](const FamilySamples& a, const FamilySamples& b) { return a.family->name < b.family->name; };
  std::sort(all.begin(), all.end(), by_name);
  return all;
}

}  // namespace fairlead
