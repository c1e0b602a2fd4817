// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/table.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "core/base/hash.h"

namespace fairlead {

ShmTableCore* ShmTableCore::create(Slab& slab, uint32_t value_bytes) {
  // About two entries per bucket when the slab is full of small ones.
  size_t buckets = std::bit_ceil(std::clamp<size_t>(slab.free_bytes() / 128, 16, size_t{1} << 28));
  void* at = slab.allocate(sizeof(ShmTableCore));
  void* bucket_memory = slab.allocate(buckets * sizeof(Ref));
  if (!at || !bucket_memory) {
    slab.release(bucket_memory);
    slab.release(at);
    return nullptr;
  }
  std::memset(bucket_memory, 0, buckets * sizeof(Ref));
  auto* table = new (at) ShmTableCore;
  table->slab_ = &slab;
  table->buckets_ = static_cast<Ref*>(bucket_memory);
  table->bucket_mask_ = static_cast<uint32_t>(buckets - 1);
  table->value_bytes_ = value_bytes;
  table->oldest_ = table->newest_ = 0;
  table->size_ = table->evictions_ = 0;
  FL_ASSERT(getrandom(&table->seed_, sizeof(table->seed_), 0) == sizeof(table->seed_));
  return table;
}

ShmTableCore::Ref ShmTableCore::ref_of(const void* block) const {
  auto distance = static_cast<size_t>(static_cast<const char*>(block) - reinterpret_cast<const char*>(slab_)) / Slab::block_bytes_min;
  FL_ASSERT(distance <= UINT32_MAX);
  return static_cast<Ref>(distance);
}

uint32_t ShmTableCore::hash_of(std::string_view key) const { return static_cast<uint32_t>(hash_bytes(key, seed_)); }

std::string_view ShmTableCore::key_of(const void* value) const {
  return {static_cast<const char*>(value) + value_bytes_, entry_of(value)->key_bytes};
}

char* ShmTableCore::tail_of(void* value) const { return static_cast<char*>(value) + value_bytes_ + entry_of(value)->key_bytes; }

ShmTableCore::Entry* ShmTableCore::find_entry(std::string_view key, uint32_t hash) const {
  for (Ref ref = buckets_[hash & bucket_mask_]; ref; ref = at(ref)->bucket_next) {
    Entry* entry = at(ref);
    if (entry->hash == hash && key_of(entry + 1) == key) return entry;
  }
  return nullptr;
}

void* ShmTableCore::find(std::string_view key) const {
  Entry* entry = find_entry(key, hash_of(key));
  return entry ? entry + 1 : nullptr;
}

ShmTableCore::Found ShmTableCore::find_or_insert(const Wanted& wanted) {
  FL_ASSERT(wanted.value_bytes == value_bytes_);
  if (wanted.key.size() > key_bytes_max) return {nullptr, false};
  uint32_t hash = hash_of(wanted.key);
  if (Entry* entry = find_entry(wanted.key, hash)) {
    touch(entry + 1);
    return {entry + 1, false};
  }
  void* block = allocate_evicting(wanted);
  if (!block) return {nullptr, false};
  Ref& bucket = buckets_[hash & bucket_mask_];
  auto* entry = new (block) Entry{bucket, 0, 0, hash, wanted.tail_bytes, static_cast<uint16_t>(wanted.key.size())};
  char* value = reinterpret_cast<char*>(entry + 1);
  std::memset(value, 0, value_bytes_);
  if (!wanted.key.empty()) std::memcpy(value + value_bytes_, wanted.key.data(), wanted.key.size());
  bucket = ref_of(entry);
  link_newest(*entry);
  ++size_;
  return {value, true};
}

void* ShmTableCore::allocate_evicting(const Wanted& wanted) {
  size_t bytes = sizeof(Entry) + value_bytes_ + wanted.key.size() + wanted.tail_bytes;
  void* block = slab_->allocate(bytes);
  void* candidate = oldest();
  for (int tries = 0; !block && candidate && tries < eviction_tries_max; ++tries) {
    void* next = newer(candidate);
    if (!wanted.may_evict || wanted.may_evict(candidate)) {
      remove(candidate);
      ++evictions_;
      block = slab_->allocate(bytes);
    }
    candidate = next;
  }
  return block;
}

void ShmTableCore::remove(void* value) {
  Entry* entry = entry_of(value);
  Ref own = ref_of(entry);
  Ref* link = &buckets_[entry->hash & bucket_mask_];
  while (*link != own) {
    FL_ASSERT(*link != 0);
    link = &at(*link)->bucket_next;
  }
  *link = entry->bucket_next;
  unlink_age(*entry);
  --size_;
  slab_->release(entry);
}

void ShmTableCore::touch(void* value) {
  Entry* entry = entry_of(value);
  if (newest_ == ref_of(entry)) return;
  unlink_age(*entry);
  link_newest(*entry);
}

void ShmTableCore::link_newest(Entry& entry) {
  entry.older = newest_;
  entry.newer = 0;
  Ref own = ref_of(&entry);
  if (newest_) at(newest_)->newer = own;
  else oldest_ = own;
  newest_ = own;
}

void ShmTableCore::unlink_age(Entry& entry) {
  if (entry.older) at(entry.older)->newer = entry.newer;
  else oldest_ = entry.newer;
  if (entry.newer) at(entry.newer)->older = entry.older;
  else newest_ = entry.older;
}

}  // namespace fairlead
