// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The shared part of the metric registry: which series exist, and their cells, one set of cells per worker slot. Series are only ever
// added; a series is complete when `count` covers it, so a process killed in the middle leaves nothing that the repair cannot rebuild.
// Lives in the zone of the metrics; used by metric.cc alone. Names, help and label names are each process's own and not here.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/shm/shm.h"
#include "core/shm/worker_slots.h"

namespace fairlead {

enum class MetricKind : uint8_t { counter, gauge, histogram };

// How much room the series get. The zone's size follows from it, and the zone survives a reload only if the size stays.
struct MetricLimits {
  uint32_t series_max = 10'000;  // beyond the families' own
  uint32_t slots = worker_slots_max;
};

class MetricZone {
 public:
  using Cell = std::atomic<uint64_t>;
  static constexpr uint32_t not_found = UINT32_MAX;
  static constexpr uint32_t cells_per_series_max = 64;
  static constexpr uint32_t sink_cell = 0;  // cells_per_series_max cells that belong to no series: what finds no room counts there

  struct Series {
    uint32_t text_at, text_bytes;  // its key
    uint32_t hash;
    std::atomic<uint32_t> bucket_next;  // index + 1 of an older series, or 0
    uint32_t root;                      // the family's first series (itself, then): its only one without labels, else "other"
    uint32_t first_cell;
    uint16_t cells;
    MetricKind kind;
    std::atomic<bool> used;         // root: something was folded into it
    std::atomic<uint32_t> members;  // root: how many others the family has
  };
  struct Wanted {
    std::string_view key;
    MetricKind kind = MetricKind::counter;
    uint32_t cells = 1;
    uint32_t root = not_found;  // not_found: this is the root of a family
    uint32_t members_max = 0;   // of the family, 0 for no limit of its own
  };

  static size_t bytes(const MetricLimits& limits);
  // The one at the root of `zone`, made there if the zone is fresh; nullptr if the zone is too small for `limits`.
  static MetricZone* in(Zone& zone, const MetricLimits& limits);

  // Index of the series, or not_found. Without the lock.
  uint32_t find(std::string_view key) const;
  // As find(), else adds it: not_found when there is no room. Under the zone's lock.
  uint32_t find_or_add(const Wanted& wanted);
  // After the death of a process that held the lock.
  void rebuild();

  // Series [0, count()) are complete.
  uint32_t count() const { return count_.load(std::memory_order_acquire); }
  Series& series(uint32_t index) { return series_[index]; }
  const Series& series(uint32_t index) const { return series_[index]; }
  std::string_view key_of(uint32_t index) const { return {text_ + series_[index].text_at, series_[index].text_bytes}; }

  // The cells of a slot. use_slot() makes reads look at it.
  Cell* cells(uint32_t slot) { return cells_ + size_t{slot} * slot_cells_; }
  const Cell* cells(uint32_t slot) const { return cells_ + size_t{slot} * slot_cells_; }
  void use_slot(uint32_t slot);
  uint32_t slots() const { return slots_; }
  uint32_t slots_used() const { return slots_used_.load(std::memory_order_relaxed); }

 private:
  struct Layout;
  MetricZone() = default;
  bool has_room(const Wanted& wanted) const;
  uint32_t last_cell_end() const;
  uint32_t last_text_end() const;
  void link(uint32_t index);

  uint32_t ordinary_max_, series_room_, ordinary_cells_max_, slot_cells_, ordinary_text_max_, text_room_, bucket_mask_, slots_;
  std::atomic<uint32_t> count_;
  std::atomic<uint32_t> slots_used_;
  // Of the series that are no roots; roots have room of their own.
  uint32_t ordinary_count_, ordinary_cells_, ordinary_text_;
  Series* series_;
  std::atomic<uint32_t>* buckets_;
  char* text_;
  Cell* cells_;
};

}  // namespace fairlead
