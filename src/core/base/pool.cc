// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/pool.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/list.h"
#include "core/base/log.h"

namespace fairlead {

pool_detail::Front pool_detail::front;

namespace {

using namespace pool_detail;

constexpr size_t slab_bytes = 64 * 1024;

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

// Never destroyed: frames may be released during exit.
SizeClass* size_classes() {
  static SizeClass* classes = new SizeClass[class_count];
  return classes;
}

[[noreturn]] void out_of_memory(size_t bytes) {
  Logger().alert(Errno{ENOMEM}, "out of memory: {} bytes", bytes);
  std::abort();
}

Slab* map_slab(size_t block_bytes) {
  char* raw = static_cast<char*>(mmap(nullptr, 2 * slab_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (raw == MAP_FAILED) out_of_memory(slab_bytes);
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

void* allocate_large(size_t bytes) {
  void* block = std::malloc(bytes ? bytes : 1);
  if (block) ++front.counts.large;
  return block;
}

}  // namespace

size_t pool_rounded(size_t bytes) { return is_heap || bytes > class_bytes_max ? bytes : bytes_of(class_of(bytes)); }

void* pool_detail::allocate_slow(size_t bytes) {
  if (is_heap || bytes > class_bytes_max) {
    void* block = allocate_large(bytes);
    if (!block) out_of_memory(bytes);
    return block;
  }
  SizeClass& size_class = size_classes()[class_of(bytes)];
  Slab* slab = size_class.partial.front();
  if (!slab) {
    slab = size_class.empty.pop_front();
    if (!slab) {
      slab = map_slab(bytes_of(class_of(bytes)));
      ++front.counts.slabs;
    }
    size_class.partial.push_back(*slab);
  }
  void* block = take(*slab);
  if (!has_room(*slab)) slab->unlink();
  return block;
}

void* pool_try_allocate_large(size_t bytes) {
  FL_ASSERT(bytes > class_bytes_max);
  ++front.counts.allocations;
  return allocate_large(bytes);
}

static void give_back(SizeClass& size_class, void* block) {
  Slab* slab = reinterpret_cast<Slab*>(reinterpret_cast<uintptr_t>(block) & ~(slab_bytes - 1));
  slab->free = new (block) FreeBlock{slab->free};
  FL_ASSERT(slab->live > 0);
  if (--slab->live == 0) {
    slab->unlink();
    slab->empty_since_trim = 0;
    size_class.empty.push_front(*slab);
  } else if (!slab->linked()) {
    size_class.partial.push_front(*slab);
  }
}

void pool_detail::release_slow(void* block, size_t bytes) noexcept {
  if (is_heap || bytes > class_bytes_max) {
    --front.counts.large;
    std::free(block);
    return;
  }
  give_back(size_classes()[class_of(bytes)], block);
}

bool pool_trim() {
  bool remain = false;
  for (size_t index = 0; index < class_count; ++index) {
    SizeClass& size_class = size_classes()[index];
    Magazine& magazine = front.magazines[index];
    while (FreeBlock* block = magazine.first) {
      magazine.first = block->next;
      give_back(size_class, block);
    }
    magazine.count = 0;
    for (Slab* slab = size_class.empty.front(); slab;) {
      Slab* after = size_class.empty.next(*slab);
      if (slab->empty_since_trim++ > 0) {
        slab->~Slab();
        munmap(slab, slab_bytes);
        --front.counts.slabs;
      } else {
        remain = true;
      }
      slab = after;
    }
  }
  return remain;
}

const PoolCounts& pool_counts() { return pool_detail::front.counts; }

}  // namespace fairlead
