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

namespace fairlead {

// At least `bytes`, aligned to 16. Never null: exhaustion ends the process (limits shed load long before).
void* pool_allocate(size_t bytes);
// Gives back a block; `bytes` is the number it was asked for.
void pool_release(void* block, size_t bytes) noexcept;
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

}  // namespace fairlead
