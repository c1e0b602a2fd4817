// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/metric_zone.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "core/base/hash.h"

namespace fairlead {
namespace {

constexpr uint32_t roots_max = 1024;        // families, those of earlier generations included
constexpr uint32_t root_cells = 8, root_text = 128;          // room per root, on average
constexpr uint32_t ordinary_cells = 6, ordinary_text = 160;  // per other series, on average

size_t whole_pages(size_t bytes) { return (bytes + Slab::page_bytes - 1) / Slab::page_bytes; }

uint32_t hash_of(std::string_view key) { return static_cast<uint32_t>(hash_bytes(key)); }

}  // namespace

struct MetricZone::Layout {
  explicit Layout(const MetricLimits& limits)
      : series(limits.series_max + roots_max),
        buckets(std::bit_ceil(series)),
        ordinary_cells_max(limits.series_max * ordinary_cells),
        text_bytes(limits.series_max * ordinary_text + roots_max * root_text) {
    size_t cells = cells_per_series_max + ordinary_cells_max + roots_max * root_cells;
    slot_cells = static_cast<uint32_t>(whole_pages(cells * sizeof(Cell)) * (Slab::page_bytes / sizeof(Cell)));
    cell_bytes = size_t{slot_cells} * sizeof(Cell) * limits.slots;
  }
  uint32_t series, buckets, ordinary_cells_max, text_bytes, slot_cells = 0;
  size_t cell_bytes = 0;
};

size_t MetricZone::bytes(const MetricLimits& limits) {
  Layout layout(limits);
  size_t pages = 1 + whole_pages(layout.series * sizeof(Series)) + whole_pages(layout.buckets * sizeof(uint32_t)) +
                 whole_pages(layout.text_bytes) + whole_pages(layout.cell_bytes);
  return (pages + pages / 64 + 16) * Slab::page_bytes;  // with the slab's own entries, less than 1/64 of a page each
}

MetricZone* MetricZone::in(Zone& zone, const MetricLimits& limits) {
  if (auto* known = zone.root<MetricZone>()) return known;
  Layout layout(limits);
  Slab& slab = zone.slab();
  void* own = slab.allocate(sizeof(MetricZone));
  void* series = slab.allocate(layout.series * sizeof(Series));
  void* buckets = slab.allocate(layout.buckets * sizeof(uint32_t));
  void* text = slab.allocate(layout.text_bytes);
  void* cells = slab.allocate(layout.cell_bytes);
  if (!own || !series || !buckets || !text || !cells) {
    for (void* block : {own, series, buckets, text, cells}) slab.release(block);
    return nullptr;
  }
  // A fresh mapping is zero; neither series, buckets nor cells are touched before they are needed.
  auto* made = new (own) MetricZone;
  made->ordinary_max_ = limits.series_max;
  made->series_room_ = layout.series;
  made->ordinary_cells_max_ = layout.ordinary_cells_max;
  made->slot_cells_ = layout.slot_cells;
  made->ordinary_text_max_ = limits.series_max * ordinary_text;
  made->text_room_ = layout.text_bytes;
  made->bucket_mask_ = layout.buckets - 1;
  made->slots_ = limits.slots;
  made->count_ = made->slots_used_ = 0;
  made->ordinary_count_ = made->ordinary_cells_ = made->ordinary_text_ = 0;
  made->series_ = static_cast<Series*>(series);
  made->buckets_ = static_cast<std::atomic<uint32_t>*>(buckets);
  made->text_ = static_cast<char*>(text);
  made->cells_ = static_cast<Cell*>(cells);
  zone.set_root(made);
  return made;
}

uint32_t MetricZone::find(std::string_view key) const {
  uint32_t hash = hash_of(key);
  uint32_t next = buckets_[hash & bucket_mask_].load(std::memory_order_acquire);
  while (next) {
    const Series& each = series_[next - 1];
    if (each.hash == hash && key_of(next - 1) == key) return next - 1;
    uint32_t older = each.bucket_next.load(std::memory_order_acquire);
    if (older >= next) break;  // a rebuild is under way; the caller asks again under the lock
    next = older;
  }
  return not_found;
}

uint32_t MetricZone::last_cell_end() const {
  uint32_t n = count();
  return n ? series_[n - 1].first_cell + series_[n - 1].cells : sink_cell + cells_per_series_max;
}

uint32_t MetricZone::last_text_end() const {
  uint32_t n = count();
  return n ? series_[n - 1].text_at + series_[n - 1].text_bytes : 0;
}

bool MetricZone::has_room(const Wanted& wanted) const {
  if (count() == series_room_ || last_cell_end() + wanted.cells > slot_cells_) return false;
  if (last_text_end() + wanted.key.size() > text_room_) return false;
  if (wanted.root == not_found) return true;
  if (wanted.members_max && series_[wanted.root].members.load(std::memory_order_relaxed) >= wanted.members_max) return false;
  return ordinary_count_ < ordinary_max_ && ordinary_cells_ + wanted.cells <= ordinary_cells_max_ &&
         ordinary_text_ + wanted.key.size() <= ordinary_text_max_;
}

uint32_t MetricZone::find_or_add(const Wanted& wanted) {
  FL_ASSERT(wanted.cells > 0 && wanted.cells <= cells_per_series_max);
  uint32_t index = find(wanted.key);
  if (index != not_found) return index;
  if (!has_room(wanted)) return not_found;
  index = count();
  Series& made = series_[index];
  made.text_at = last_text_end();
  made.text_bytes = static_cast<uint32_t>(wanted.key.size());
  made.hash = hash_of(wanted.key);
  made.root = wanted.root == not_found ? index : wanted.root;
  made.first_cell = last_cell_end();
  made.cells = static_cast<uint16_t>(wanted.cells);
  made.kind = wanted.kind;
  std::memcpy(text_ + made.text_at, wanted.key.data(), wanted.key.size());
  count_.store(index + 1, std::memory_order_release);  // from here on it exists
  if (made.root != index) {
    ++ordinary_count_;
    ordinary_cells_ += wanted.cells;
    ordinary_text_ += made.text_bytes;
    series_[made.root].members.fetch_add(1, std::memory_order_relaxed);
  }
  link(index);
  return index;
}

void MetricZone::link(uint32_t index) {
  std::atomic<uint32_t>& bucket = buckets_[series_[index].hash & bucket_mask_];
  series_[index].bucket_next.store(bucket.load(std::memory_order_relaxed), std::memory_order_release);
  bucket.store(index + 1, std::memory_order_release);
}

void MetricZone::rebuild() {
  for (uint32_t i = 0; i <= bucket_mask_; ++i) buckets_[i].store(0, std::memory_order_relaxed);
  ordinary_count_ = ordinary_cells_ = ordinary_text_ = 0;
  for (uint32_t i = 0; i < count(); ++i) {
    Series& each = series_[i];
    link(i);
    if (each.root == i) {
      each.members.store(0, std::memory_order_relaxed);
      continue;
    }
    ++ordinary_count_;
    ordinary_cells_ += each.cells;
    ordinary_text_ += each.text_bytes;
    series_[each.root].members.fetch_add(1, std::memory_order_relaxed);
  }
}

void MetricZone::use_slot(uint32_t slot) {
  FL_ASSERT(slot < slots_);
  uint32_t seen = slots_used_.load(std::memory_order_relaxed);
  while (seen <= slot && !slots_used_.compare_exchange_weak(seen, slot + 1, std::memory_order_relaxed)) {
  }
}

}  // namespace fairlead
