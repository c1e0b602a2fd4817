// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The allocator inside a shared zone: blocks of a power of two from 16 to 2048 bytes carved from pages, larger blocks as runs of pages.
// All state lies in the memory it serves, as indexes and offsets. No locking here: the caller holds the zone's lock. What the blocks
// mean, and what to give up when memory is short, is their owner's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace fairlead {

// A moment's picture, for the status API.
struct SlabUsage {
  struct BlockClass {
    size_t block_bytes = 0;
    uint64_t used = 0, free = 0;          // blocks
    uint64_t requests = 0, failures = 0;  // since the slab was made
  };
  static constexpr size_t class_count = 8;
  std::array<BlockClass, class_count> classes;
  uint64_t pages = 0, free_pages = 0;
  uint64_t run_requests = 0, run_failures = 0;  // blocks above 2048 bytes
};

class Slab {
 public:
  static constexpr size_t page_bytes = 4096;
  static constexpr size_t block_bytes_min = 16, block_bytes_max = 2048;  // of the classes; also the alignment of every block is 16

  // Builds a slab over `bytes` bytes at `memory` (aligned to 16), which become its own; nullptr if not one page fits. Touches only the
  // beginning, so memory that is never asked for is never backed by the system. Building again over old contents empties it.
  static Slab* create(void* memory, size_t bytes);
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // A block of at least `bytes`, not cleared; nullptr when nothing fits. Never waits. Constant time up to 31 pages; a longer run may
  // search the free runs of about its length.
  void* allocate(size_t bytes);
  // Gives back a block of this slab; nullptr is nothing. Free runs next to each other become one.
  void release(void* block);
  // What `block` really holds.
  size_t block_bytes(const void* block) const;

  bool owns(const void* block) const;
  // Usable now: free pages and free blocks of carved pages. Fragmentation may keep a single large block from fitting.
  size_t free_bytes() const;
  // All pages.
  size_t capacity_bytes() const { return size_t{page_count_} * page_bytes; }
  SlabUsage usage() const;

 private:
  static constexpr uint32_t none = UINT32_MAX;
  static constexpr uint16_t no_block = UINT16_MAX;
  static constexpr uint32_t class_count = SlabUsage::class_count;
  static constexpr uint32_t exact_bins = 32;           // bin n < 32 holds runs of exactly n pages
  static constexpr uint32_t bin_count = exact_bins + 27;  // then one bin per power of two

  // A page's state; pages within a run or a free run are `inner`, except that the last page of a free run is its `free_tail`.
  enum class Kind : uint8_t { inner, free_head, free_tail, blocks, run };
  struct Page {
    uint32_t next, prev;   // in a bin (free_head) or in the list of pages with a free block (blocks)
    uint32_t run_pages;    // free_head, free_tail, run
    uint16_t free_block;   // blocks: index of the first given-back block; each holds the index of the next
    uint16_t fresh_block;  // blocks: from this index on none was ever given out
    uint16_t used_blocks;
    uint8_t block_class;
    Kind kind;
  };
  struct ClassCount {
    uint64_t pages, used, requests, failures;
  };

  Slab() = default;
  static uint32_t class_of(size_t bytes);
  static uint32_t bin_of(uint32_t pages);
  static uint32_t blocks_per_page(uint32_t block_class) { return static_cast<uint32_t>(page_bytes / block_bytes_min) >> block_class; }
  void* allocate_block(uint32_t block_class);
  void* allocate_run(size_t bytes);
  void release_block(uint32_t index, char* block);
  // `count` pages in a row, or `none`. Their Page entries are the caller's to set.
  uint32_t take_pages(uint32_t count);
  void give_pages(uint32_t first, uint32_t count);
  uint32_t find_run(uint32_t count) const;
  void put_free_run(uint32_t first, uint32_t count);
  void unlink_free_run(uint32_t first);
  void push(uint32_t& head, uint32_t index);
  void unlink(uint32_t& head, uint32_t index);

  Page* pages() { return reinterpret_cast<Page*>(this + 1); }
  const Page* pages() const { return reinterpret_cast<const Page*>(this + 1); }
  char* page_at(uint32_t index) { return reinterpret_cast<char*>(this) + first_page_offset_ + size_t{index} * page_bytes; }
  uint32_t index_of(const void* block) const {
    auto offset = static_cast<size_t>(static_cast<const char*>(block) - reinterpret_cast<const char*>(this));
    return static_cast<uint32_t>((offset - first_page_offset_) / page_bytes);
  }

  size_t first_page_offset_;
  uint32_t page_count_;
  uint32_t free_page_count_;
  uint64_t bins_in_use_;                 // bit n: bins_[n] is not empty
  uint32_t bins_[bin_count];             // free runs by length
  uint32_t partial_[class_count];        // pages with at least one free block
  ClassCount classes_[class_count];
  uint64_t run_requests_, run_failures_;
};

}  // namespace fairlead
