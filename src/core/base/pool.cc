// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/pool.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/list.h"

#if defined(__SANITIZE_ADDRESS__)
#define FL_POOL_IS_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FL_POOL_IS_HEAP 1
#endif
#endif
#ifndef FL_POOL_IS_HEAP
#define FL_POOL_IS_HEAP 0
#endif

namespace fairlead {
namespace {

constexpr size_t slab_bytes = 64 * 1024;
// Steps of 32 up to 512, then quarters of a power of two up to 16 KiB + room for a segment header.
constexpr size_t small_step = 32, small_max = 512, class_bytes_max = 20 * 1024;
constexpr size_t small_classes = small_max / small_step;
constexpr size_t class_count = small_classes + 4 * 6;

struct FreeBlock { FreeBlock* next; };

// Lies at the start of its slab. In `partial` of its class while it has a free block, in `empty` while it has nothing else.
struct Slab : Link {
  FreeBlock* free = nullptr;
  uint32_t unused_at = 0;  // offset of the first block never handed out: untouched pages stay untouched
  uint32_t block_bytes = 0;
  uint32_t live = 0;
  uint32_t empty_since_trim = 0;  // number of trims that found it empty
};

struct SizeClass {
  List<Slab> partial;
  List<Slab> empty;
};

struct Pool {
  SizeClass classes[class_count];
  PoolCounts counts;
};

Pool& pool() {
  static Pool* the_pool = new Pool;  // never destroyed: frames may be released during exit
  return *the_pool;
}

size_t class_of(size_t bytes) {
  if (bytes <= small_max) return bytes == 0 ? 0 : (bytes - 1) / small_step;
  unsigned log = 63u - static_cast<unsigned>(__builtin_clzll(bytes - 1));  // 2^log < bytes <= 2^(log+1)
  size_t quarter = size_t{1} << (log - 2);
  return small_classes + (log - 9) * 4 + (bytes - 1 - (size_t{1} << log)) / quarter;
}

size_t bytes_of(size_t index) {
  if (index < small_classes) return (index + 1) * small_step;
  size_t log = 9 + (index - small_classes) / 4, part = (index - small_classes) % 4;
  return (size_t{1} << log) + (part + 1) * (size_t{1} << (log - 2));
}

[[noreturn]] void out_of_memory() {
  std::fputs("fairlead: [alert] out of memory\n", stderr);
  std::abort();
}

Slab* map_slab(size_t block_bytes) {
  char* raw = static_cast<char*>(mmap(nullptr, 2 * slab_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (raw == MAP_FAILED) out_of_memory();
  size_t lead = (slab_bytes - reinterpret_cast<uintptr_t>(raw) % slab_bytes) % slab_bytes;
  if (lead) munmap(raw, lead);
  munmap(raw + lead + slab_bytes, slab_bytes - lead);
  Slab* slab = new (raw + lead) Slab;
  slab->unused_at = (sizeof(Slab) + 15) & ~size_t{15};
  slab->block_bytes = static_cast<uint32_t>(block_bytes);
  return slab;
}

bool has_room(const Slab& slab) { return slab.free || slab.unused_at + slab.block_bytes <= slab_bytes; }

void* take(Slab& slab) {
  ++slab.live;
  if (FreeBlock* block = slab.free) {
    slab.free = block->next;
    return block;
  }
  void* block = reinterpret_cast<char*>(&slab) + slab.unused_at;
  slab.unused_at += slab.block_bytes;
  return block;
}

}  // namespace

size_t pool_rounded(size_t bytes) { return FL_POOL_IS_HEAP || bytes > class_bytes_max ? bytes : bytes_of(class_of(bytes)); }

void* pool_allocate(size_t bytes) {
  Pool& p = pool();
  ++p.counts.allocations;
  if (FL_POOL_IS_HEAP || bytes > class_bytes_max) {
    void* block = std::malloc(bytes ? bytes : 1);
    if (!block) out_of_memory();
    ++p.counts.large;
    return block;
  }
  SizeClass& size_class = p.classes[class_of(bytes)];
  Slab* slab = size_class.partial.front();
  if (!slab) {
    slab = size_class.empty.pop_front();
    if (!slab) {
      slab = map_slab(bytes_of(class_of(bytes)));
      ++p.counts.slabs;
    }
    size_class.partial.push_back(*slab);
  }
  void* block = take(*slab);
  if (!has_room(*slab)) slab->unlink();
  return block;
}

void pool_release(void* block, size_t bytes) noexcept {
  Pool& p = pool();
  if (FL_POOL_IS_HEAP || bytes > class_bytes_max) {
    --p.counts.large;
    std::free(block);
    return;
  }
  SizeClass& size_class = p.classes[class_of(bytes)];
  Slab* slab = reinterpret_cast<Slab*>(reinterpret_cast<uintptr_t>(block) & ~(slab_bytes - 1));
  FreeBlock* free = static_cast<FreeBlock*>(block);
  free->next = slab->free;
  slab->free = free;
  FL_ASSERT(slab->live > 0);
  if (--slab->live == 0) {
    slab->unlink();
    slab->empty_since_trim = 0;
    size_class.empty.push_front(*slab);
  } else if (!slab->linked()) {
    size_class.partial.push_front(*slab);
  }
}

bool pool_trim() {
  Pool& p = pool();
  bool remain = false;
  for (SizeClass& size_class : p.classes) {
    for (Slab* slab = size_class.empty.front(); slab;) {
      Slab* after = size_class.empty.next(*slab);
      if (slab->empty_since_trim++ > 0) {
        slab->~Slab();
        munmap(slab, slab_bytes);
        --p.counts.slabs;
      } else {
        remain = true;
      }
      slab = after;
    }
  }
  return remain;
}

const PoolCounts& pool_counts() { return pool().counts; }

}  // namespace fairlead
