// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A table from key bytes to small values inside a zone, ordered by last use: limits, stickiness, TLS sessions, keyval. When the zone is
// full the oldest entries make room. No locking here: every call, and every use of what it gave, happens under the zone's lock. What a
// value means, and when it is too old, is the module's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "core/base/error.h"
#include "core/shm/shm.h"
#include "core/shm/slab.h"

namespace fairlead {

// The part of ShmTable that does not know the value's type; use ShmTable. Lives in the slab it allocates from.
class ShmTableCore {
 public:
  static constexpr size_t key_bytes_max = UINT16_MAX;
  // How many of the oldest entries one insertion looks at, at most, to make room.
  static constexpr int eviction_tries_max = 32;

  struct Wanted {
    std::string_view key;
    uint32_t value_bytes = 0, tail_bytes = 0;
    bool (*may_evict)(const void* value) = nullptr;  // null: any entry
  };
  struct Found {
    void* value;
    bool fresh;
  };

  // With buckets for the slab's free bytes; nullptr when they do not fit. `value_bytes` is that of all entries.
  static ShmTableCore* create(Slab& slab, uint32_t value_bytes);
  ShmTableCore(const ShmTableCore&) = delete;
  ShmTableCore& operator=(const ShmTableCore&) = delete;

  void* find(std::string_view key) const;
  Found find_or_insert(const Wanted& wanted);
  void remove(void* value);
  void touch(void* value);
  void* oldest() const { return value_of(oldest_); }
  void* newer(const void* value) const { return value_of(entry_of(value)->newer); }
  std::string_view key_of(const void* value) const;
  char* tail_of(void* value) const;
  size_t tail_bytes_of(const void* value) const { return entry_of(value)->tail_bytes; }
  size_t size() const { return size_; }
  uint64_t evictions() const { return evictions_; }

 private:
  using Ref = uint32_t;  // distance from the slab in units of 16 bytes (zones up to 64 GiB); 0 is none
  // Followed by the value, the key and the tail.
  struct Entry {
    Ref bucket_next, older, newer;
    uint32_t hash;
    uint32_t tail_bytes;
    uint16_t key_bytes;
  };
  ShmTableCore() = default;
  Entry* at(Ref ref) const { return reinterpret_cast<Entry*>(reinterpret_cast<char*>(slab_) + size_t{ref} * Slab::block_bytes_min); }
  Ref ref_of(const void* block) const;
  void* value_of(Ref ref) const { return ref ? at(ref) + 1 : nullptr; }
  static Entry* entry_of(const void* value) { return reinterpret_cast<Entry*>(const_cast<void*>(value)) - 1; }
  uint32_t hash_of(std::string_view key) const;
  Entry* find_entry(std::string_view key, uint32_t hash) const;
  void* allocate_evicting(const Wanted& wanted);
  void link_newest(Entry& entry);
  void unlink_age(Entry& entry);

  Slab* slab_;
  Ref* buckets_;
  uint32_t bucket_mask_;
  uint32_t value_bytes_;
  Ref oldest_, newest_;
  uint64_t seed_;  // random: keys come from clients
  uint64_t size_;
  uint64_t evictions_;
};

// `Value` is plain and starts as zero bytes. An entry may carry a tail of bytes whose length is fixed when it is made (a session, a
// text). Entries do not move; they end by remove(), expire() or eviction.
template <class Value>
class ShmTable {
  static_assert(std::is_trivially_copyable_v<Value> && alignof(Value) <= 8);

 public:
  using Found = struct {
    Value* value;  // nullptr: no room, or the key is longer than 65535 bytes
    bool fresh;    // just made
  };

  // The table at the root of `zone`, made there if the zone is empty. Call it each time under the lock: a repair may have emptied it.
  static ShmTable& in(Zone& zone) {
    if (auto* table = zone.root<ShmTable>()) return *table;
    ShmTable* table = create(zone.slab());
    FL_ASSERT(table != nullptr);  // an empty zone of any allowed size has room for it
    zone.set_root(table);
    return *table;
  }
  // For a zone with more than one table: the owner's root keeps the pointer. nullptr when there is no room.
  static ShmTable* create(Slab& slab) { return reinterpret_cast<ShmTable*>(ShmTableCore::create(slab, sizeof(Value))); }

  // Does not change the age.
  Value* find(std::string_view key) { return static_cast<Value*>(core_.find(key)); }
  // The entry of `key`, made if there is none, now the newest either way (a found one keeps its tail). When the slab is full the oldest
  // entries that MayEvict allows are dropped, a bounded number of them.
  template <bool (*MayEvict)(const Value&) = nullptr>
  Found find_or_insert(std::string_view key, uint32_t tail_bytes = 0) {
    ShmTableCore::Wanted wanted{key, sizeof(Value), tail_bytes, nullptr};
    if constexpr (MayEvict != nullptr) {
      wanted.may_evict = [](const void* value) { return MayEvict(*static_cast<const Value*>(value)); };
    }
    ShmTableCore::Found found = core_.find_or_insert(wanted);
    return {static_cast<Value*>(found.value), found.fresh};
  }
  void remove(Value* value) { core_.remove(value); }
  // Makes it the newest.
  void touch(Value* value) { core_.touch(value); }

  // From the oldest, removes entries while `is_old(const Value&)` says so, at most `most`; gives how many.
  template <class IsOld>
  int expire(int most, IsOld&& is_old) {
    int removed = 0;
    for (; removed < most; ++removed) {
      Value* value = oldest();
      if (!value || !is_old(static_cast<const Value&>(*value))) break;
      remove(value);
    }
    return removed;
  }

  // In order of age: oldest(), then newer() until nullptr.
  Value* oldest() const { return static_cast<Value*>(core_.oldest()); }
  Value* newer(const Value* value) const { return static_cast<Value*>(core_.newer(value)); }
  std::string_view key_of(const Value* value) const { return core_.key_of(value); }
  char* tail_of(Value* value) const { return core_.tail_of(value); }
  size_t tail_bytes_of(const Value* value) const { return core_.tail_bytes_of(value); }
  size_t size() const { return core_.size(); }
  // Entries dropped to make room, since the table was made.
  uint64_t evictions() const { return core_.evictions(); }

 private:
  ShmTable() = delete;
  ShmTableCore core_;  // the only member: both have one address
};

}  // namespace fairlead
