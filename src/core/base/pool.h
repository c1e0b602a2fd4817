// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Blocks of memory by size class, cut from 64 KiB slabs: coroutine frames, segments, arena blocks. Free lists make the hot path
// free of the general heap; a slab that stays empty goes back to the system (pool_trim), so a burst leaves no high-water mark.
// One pool per process, used by the event-loop thread only (the file threads use the heap). Under the address sanitizer every
// block is a heap block of its own, so that a use after release is seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

namespace fairlead {

// At least `bytes`, aligned to 16. Never null: exhaustion ends the process (limits shed load long before).
inline void* pool_allocate(size_t bytes);
// The same for what is over the largest class and can be done without: null if the system has no
// memory for it.
void* pool_try_allocate_large(size_t bytes);
// Gives back a block; `bytes` is the number it was asked for.
inline void pool_release(void* block, size_t bytes) noexcept;
// As pool_allocate, for callers that use the slack: `bytes` becomes what was really given, to be named on release.
inline void* pool_allocate_all(size_t& bytes);
// The number of bytes that pool_allocate(bytes) really gives: use the slack.
size_t pool_rounded(size_t bytes);

// Returns slabs that were empty at the previous call too. Gives whether empty slabs remain: the caller then calls again, some
// seconds later (at least a quarter of a minute apart, so that load in bursts does not map and unmap).
bool pool_trim();

struct PoolCounts {
  uint64_t allocations = 0;  // pool_allocate calls since start
  size_t slabs = 0;          // mapped now
  size_t large = 0;          // blocks over the largest class, given by the heap, live now
};
const PoolCounts& pool_counts();

namespace pool_detail {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool is_heap = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool is_heap = true;
#else
inline constexpr bool is_heap = false;
#endif
#else
inline constexpr bool is_heap = false;
#endif

// Steps of 32 up to 512, then quarters of a power of two up to 20 KiB.
inline constexpr size_t small_step = 32, small_max = 512, class_bytes_max = 20 * 1024;
inline constexpr size_t small_classes = small_max / small_step;
inline constexpr size_t class_count = small_classes + 4 * 6;

constexpr size_t compute_class(size_t bytes) {
  if (bytes <= small_max) return (bytes - (bytes != 0)) / small_step;
  unsigned log = 63u - static_cast<unsigned>(__builtin_clzll(bytes - 1));  // 2^log < bytes <= 2^(log+1)
  return small_classes + (log - 9) * 4 + ((bytes - 1 - (size_t{1} << log)) >> (log - 2));
}

// All class sizes are multiples of the small step, so a table of steps tells the class: a load instead of a dozen instructions, twice per
// block.
struct ClassTable {
  uint8_t of[class_bytes_max / small_step + 1] = {};
  uint16_t steps[class_count] = {};
  constexpr ClassTable() {
    for (size_t i = 0; i <= class_bytes_max / small_step; ++i) {
      of[i] = static_cast<uint8_t>(compute_class(i * small_step));
      steps[of[i]] = static_cast<uint16_t>(i);  // the last of its class is its size
    }
    steps[0] = 1;
  }
};
inline constexpr ClassTable class_table;

// `bytes` at most class_bytes_max.
inline size_t class_of(size_t bytes) { return class_table.of[(bytes + small_step - 1) / small_step]; }
inline size_t bytes_of(size_t index) { return class_table.steps[index] * small_step; }

struct FreeBlock { FreeBlock* next; };

// A few blocks of each class in front of the slabs, last in first out: they are warm. Their slabs count them as live until pool_trim.
struct Magazine {
  FreeBlock* first = nullptr;
  uint32_t count = 0;
};
inline constexpr uint32_t magazine_bytes_max = 256 * 1024, magazine_count_max = 64;

struct Front {
  Magazine magazines[class_count];
  PoolCounts counts;
};
extern Front front;

void* allocate_slow(size_t bytes);
void release_slow(void* block, size_t bytes) noexcept;

}  // namespace pool_detail

inline void* pool_allocate(size_t bytes) {
  using namespace pool_detail;
  ++front.counts.allocations;
  if (!is_heap && bytes <= class_bytes_max) {
    Magazine& magazine = front.magazines[class_of(bytes)];
    if (FreeBlock* block = magazine.first) {
      magazine.first = block->next;
      --magazine.count;
      return block;
    }
  }
  return allocate_slow(bytes);
}

inline void* pool_allocate_all(size_t& bytes) {
  using namespace pool_detail;
  if (is_heap || bytes > class_bytes_max) return pool_allocate(bytes);
  size_t index = class_of(bytes);
  bytes = bytes_of(index);
  ++front.counts.allocations;
  Magazine& magazine = front.magazines[index];
  FreeBlock* block = magazine.first;
  if (!block) return allocate_slow(bytes);
  magazine.first = block->next;
  --magazine.count;
  return block;
}

inline void pool_release(void* block, size_t bytes) noexcept {
  using namespace pool_detail;
  if (!is_heap && bytes <= class_bytes_max) {
    Magazine& magazine = front.magazines[class_of(bytes)];
    if (magazine.count < magazine_count_max && magazine.count * bytes < magazine_bytes_max) {
      magazine.first = new (block) FreeBlock{magazine.first};
      ++magazine.count;
      return;
    }
  }
  release_slow(block, bytes);
}

}  // namespace fairlead
