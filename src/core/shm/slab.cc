// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/slab.h"

#include <bit>
#include <cstring>
#include <new>

#include "core/base/error.h"

namespace fairlead {

Slab* Slab::create(void* memory, size_t bytes) {
  auto begin = reinterpret_cast<uintptr_t>(memory);
  FL_ASSERT(begin % block_bytes_min == 0);
  uintptr_t end = begin + bytes;
  // Each page costs its entry too; rounding the first page up to a page boundary may cost one more.
  if (bytes < sizeof(Slab) + sizeof(Page) + page_bytes) return nullptr;
  size_t count = (bytes - sizeof(Slab)) / (page_bytes + sizeof(Page));
  uintptr_t first_page = 0;
  for (; count > 0; --count) {
    first_page = (begin + sizeof(Slab) + count * sizeof(Page) + page_bytes - 1) / page_bytes * page_bytes;
    if (first_page + count * page_bytes <= end) break;
  }
  if (count == 0 || count >= none) return nullptr;

  Slab* slab = new (memory) Slab;
  slab->first_page_offset_ = first_page - begin;
  slab->page_count_ = static_cast<uint32_t>(count);
  slab->free_page_count_ = slab->page_count_;
  slab->bins_in_use_ = 0;
  slab->run_requests_ = slab->run_failures_ = 0;
  for (uint32_t& bin : slab->bins_) bin = none;
  for (uint32_t& head : slab->partial_) head = none;
  for (ClassCount& each : slab->classes_) each = ClassCount{};
  slab->put_free_run(0, slab->page_count_);
  return slab;
}

uint32_t Slab::class_of(size_t bytes) {
  if (bytes <= block_bytes_min) return 0;
  return static_cast<uint32_t>(std::bit_width(bytes - 1)) - 4;
}

uint32_t Slab::bin_of(uint32_t pages) {
  if (pages < exact_bins) return pages;
  return exact_bins + static_cast<uint32_t>(std::bit_width(pages)) - 6;  // 32 to 63 pages: the first bin behind the exact ones
}

void* Slab::allocate(size_t bytes) { return bytes <= block_bytes_max ? allocate_block(class_of(bytes)) : allocate_run(bytes); }

void* Slab::allocate_block(uint32_t block_class) {
  ClassCount& count = classes_[block_class];
  ++count.requests;
  uint32_t index = partial_[block_class];
  if (index == none) {
    index = take_pages(1);
    if (index == none) {
      ++count.failures;
      return nullptr;
    }
    Page& fresh = pages()[index];
    fresh.kind = Kind::blocks;
    fresh.block_class = static_cast<uint8_t>(block_class);
    fresh.free_block = no_block;
    fresh.fresh_block = fresh.used_blocks = 0;
    ++count.pages;
    push(partial_[block_class], index);
  }
  Page& page = pages()[index];
  size_t size = block_bytes_min << block_class;
  char* block;
  if (page.free_block != no_block) {
    block = page_at(index) + page.free_block * size;
    std::memcpy(&page.free_block, block, sizeof(page.free_block));
  } else {
    block = page_at(index) + page.fresh_block * size;
    ++page.fresh_block;
  }
  ++count.used;
  if (++page.used_blocks == blocks_per_page(block_class)) unlink(partial_[block_class], index);
  return block;
}

void* Slab::allocate_run(size_t bytes) {
  ++run_requests_;
  size_t count = bytes / page_bytes + (bytes % page_bytes != 0);
  uint32_t index = count <= free_page_count_ ? take_pages(static_cast<uint32_t>(count)) : none;
  if (index == none) {
    ++run_failures_;
    return nullptr;
  }
  pages()[index].kind = Kind::run;
  pages()[index].run_pages = static_cast<uint32_t>(count);
  return page_at(index);
}

void Slab::release(void* block) {
  if (!block) return;
  FL_ASSERT(owns(block));
  uint32_t index = index_of(block);
  Page& page = pages()[index];
  if (page.kind == Kind::blocks) return release_block(index, static_cast<char*>(block));
  FL_ASSERT(page.kind == Kind::run && page_at(index) == block);
  uint32_t count = page.run_pages;
  page.kind = Kind::inner;
  give_pages(index, count);
}

void Slab::release_block(uint32_t index, char* block) {
  Page& page = pages()[index];
  size_t size = block_bytes_min << page.block_class;
  size_t offset = static_cast<size_t>(block - page_at(index));
  FL_ASSERT(offset % size == 0 && offset / size < page.fresh_block && page.used_blocks > 0);
  std::memcpy(block, &page.free_block, sizeof(page.free_block));
  page.free_block = static_cast<uint16_t>(offset / size);
  uint32_t& partial = partial_[page.block_class];
  if (page.used_blocks-- == blocks_per_page(page.block_class)) push(partial, index);
  --classes_[page.block_class].used;
  if (page.used_blocks > 0) return;
  unlink(partial, index);
  --classes_[page.block_class].pages;
  page.kind = Kind::inner;
  give_pages(index, 1);
}

size_t Slab::block_bytes(const void* block) const {
  FL_ASSERT(owns(block));
  const Page& page = pages()[index_of(block)];
  if (page.kind == Kind::blocks) return block_bytes_min << page.block_class;
  FL_ASSERT(page.kind == Kind::run);
  return size_t{page.run_pages} * page_bytes;
}

bool Slab::owns(const void* block) const {
  const char* first = reinterpret_cast<const char*>(this) + first_page_offset_;
  return block >= first && block < first + capacity_bytes();
}

size_t Slab::free_bytes() const {
  size_t bytes = size_t{free_page_count_} * page_bytes;
  for (uint32_t i = 0; i < class_count; ++i) {
    bytes += (classes_[i].pages * blocks_per_page(i) - classes_[i].used) * (block_bytes_min << i);
  }
  return bytes;
}

SlabUsage Slab::usage() const {
  SlabUsage usage;
  for (uint32_t i = 0; i < class_count; ++i) {
    const ClassCount& count = classes_[i];
    usage.classes[i] = {block_bytes_min << i, count.used, count.pages * blocks_per_page(i) - count.used, count.requests, count.failures};
  }
  usage.pages = page_count_;
  usage.free_pages = free_page_count_;
  usage.run_requests = run_requests_;
  usage.run_failures = run_failures_;
  return usage;
}

uint32_t Slab::find_run(uint32_t count) const {
  uint32_t bin = bin_of(count);
  if (count >= exact_bins) {  // its own bin also holds shorter runs
    for (uint32_t i = bins_[bin]; i != none; i = pages()[i].next) {
      if (pages()[i].run_pages >= count) return i;
    }
    ++bin;
  }
  uint64_t fitting = bins_in_use_ & ~uint64_t{0} << bin;
  return fitting ? bins_[std::countr_zero(fitting)] : none;
}

uint32_t Slab::take_pages(uint32_t count) {
  uint32_t first = find_run(count);
  if (first == none) return none;
  uint32_t have = pages()[first].run_pages;
  unlink_free_run(first);
  if (have > count) put_free_run(first + count, have - count);
  free_page_count_ -= count;
  return first;
}

void Slab::give_pages(uint32_t first, uint32_t count) {
  free_page_count_ += count;
  uint32_t after = first + count;
  if (after < page_count_ && pages()[after].kind == Kind::free_head) {
    count += pages()[after].run_pages;
    unlink_free_run(after);
  }
  if (first > 0) {
    const Page& before = pages()[first - 1];  // a free run of one page has only a head
    if (before.kind == Kind::free_tail || (before.kind == Kind::free_head && before.run_pages == 1)) {
      uint32_t before_pages = before.run_pages;
      first -= before_pages;
      count += before_pages;
      unlink_free_run(first);
    }
  }
  put_free_run(first, count);
}

void Slab::put_free_run(uint32_t first, uint32_t count) {
  Page& tail = pages()[first + count - 1];
  tail.kind = Kind::free_tail;
  tail.run_pages = count;
  Page& head = pages()[first];
  head.kind = Kind::free_head;
  head.run_pages = count;
  uint32_t bin = bin_of(count);
  push(bins_[bin], first);
  bins_in_use_ |= uint64_t{1} << bin;
}

void Slab::unlink_free_run(uint32_t first) {
  Page& head = pages()[first];
  uint32_t bin = bin_of(head.run_pages);
  unlink(bins_[bin], first);
  if (bins_[bin] == none) bins_in_use_ &= ~(uint64_t{1} << bin);
  pages()[first + head.run_pages - 1].kind = Kind::inner;
  head.kind = Kind::inner;
}

void Slab::push(uint32_t& head, uint32_t index) {
  Page& page = pages()[index];
  page.next = head;
  page.prev = none;
  if (head != none) pages()[head].prev = index;
  head = index;
}

void Slab::unlink(uint32_t& head, uint32_t index) {
  const Page& page = pages()[index];
  if (page.prev == none) head = page.next;
  else pages()[page.prev].next = page.next;
  if (page.next != none) pages()[page.next].prev = page.prev;
}

}  // namespace fairlead
