// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/arena.h"

#include <algorithm>

#include "core/base/pool.h"

namespace fairlead {

Arena::Owner Arena::open(size_t block_bytes) {
  size_t bytes = std::max(block_bytes, sizeof(Block) + sizeof(Arena) + 64);
  char* raw = static_cast<char*>(pool_allocate_all(bytes));
  Block* block = new (raw) Block{nullptr, bytes};
  Arena* arena = new (raw + sizeof(Block)) Arena;
  arena->blocks_ = block;
  arena->block_bytes_ = block_bytes;
  arena->held_bytes_ = bytes;
  arena->next_ = raw + sizeof(Block) + sizeof(Arena);
  arena->end_ = raw + bytes;
  return Owner(arena);
}

void* Arena::allocate_slow(size_t bytes, size_t align) {
  FL_ASSERT(align <= 16);
  size_t rounded = std::max(block_bytes_, bytes + sizeof(Block) + 16);
  char* raw = static_cast<char*>(pool_allocate_all(rounded));
  Block* block = new (raw) Block{nullptr, rounded};
  held_bytes_ += rounded;
  char* at = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(raw + sizeof(Block)) + align - 1) & ~(align - 1));
  block->next = blocks_;
  blocks_ = block;
  // A block made for one large object leaves the room of the current block in use, if that is more.
  if (raw + rounded - (at + bytes) > end_ - next_) {
    next_ = at + bytes;
    end_ = raw + rounded;
  }
  return at;
}

std::string_view Arena::join(std::initializer_list<std::string_view> parts) {
  size_t total = 0;
  for (std::string_view part : parts) total += part.size();
  char* to = static_cast<char*>(allocate(total, 1));
  char* at = to;
  for (std::string_view part : parts) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  return {to, total};
}

void Arena::close() {
  for (CleanUp* item = clean_ups_; item;) {
    CleanUp* after = item->next;
    item->destroy(item);
    item = after;
  }
  Block* block = blocks_;
  while (block) {  // the oldest block, which holds *this, comes last
    Block* after = block->next;
    pool_release(block, block->bytes);
    block = after;
  }
}

}  // namespace fairlead
