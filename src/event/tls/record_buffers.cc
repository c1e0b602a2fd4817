// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/record_buffers.h"

#include <malloc.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <new>

#include "core/base/pool.h"

namespace fairlead {

namespace {

// Either buffer of a connection holds a record of 16 KiB and some hundred bytes around it. All of them are made this large, so that any
// serves any.
constexpr size_t record_bytes = 16 * 1024, buffer_bytes = 17 * 1024;
// What the heap may add to a block that it does not split.
constexpr size_t slack_bytes = 64;

using pool_detail::FreeBlock;
struct Kept {
  FreeBlock* first = nullptr;
  unsigned count = 0;
};
thread_local constinit Kept kept;

void* allocate(size_t bytes, const char*, int) {
  if (bytes <= record_bytes || bytes > buffer_bytes) return bytes ? std::malloc(bytes) : nullptr;
  FreeBlock* block = kept.first;
  if (!block) return std::malloc(buffer_bytes);
  kept.first = block->next;
  --kept.count;
  return block;
}

void release(void* block, const char*, int) {
  if (block && kept.count < record_buffers_max) {
    size_t bytes = malloc_usable_size(block);
    if (bytes >= buffer_bytes && bytes < buffer_bytes + slack_bytes) {
      kept.first = new (block) FreeBlock{kept.first};
      ++kept.count;
      return;
    }
  }
  std::free(block);
}

}  // namespace

// Without a function of its own OpenSSL reallocates by realloc(), which suits blocks of the heap.
bool keep_record_buffers() {
  if (pool_detail::is_heap) return true;
  return CRYPTO_set_mem_functions(&allocate, nullptr, &release) == 1;
}

void drop_record_buffers() {
  while (FreeBlock* block = kept.first) {
    kept.first = block->next;
    std::free(block);
  }
  kept.count = 0;
}

unsigned kept_record_buffers() { return kept.count; }

}  // namespace fairlead
