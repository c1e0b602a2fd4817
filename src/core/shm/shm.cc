// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/shm.h"

#include <errno.h>
#include <sys/mman.h>

#include <cstring>
#include <new>

#include "core/base/format.h"

namespace fairlead {
namespace {

constexpr uint64_t zone_magic = 0x31656e6f7a6c66;  // "flzone1"

// At the beginning of every zone.
struct ZoneHeader {
  uint64_t magic;
  uint64_t bytes;
  ShmLock lock;
  void* root;
  Slab* slab;
};
constexpr size_t slab_offset = (sizeof(ZoneHeader) + 63) / 64 * 64;

}  // namespace

// A mapping and its references in this process: one per generation that names it. Unmapping here does not touch other processes.
class ZoneMemory {
 public:
  // Null with errno when the system has no memory.
  static std::shared_ptr<ZoneMemory> map(size_t bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return nullptr;
    return std::make_shared<ZoneMemory>(at, bytes);
  }
  ZoneMemory(void* at, size_t bytes) : at_(at), bytes_(bytes) {
    new (at) ZoneHeader{zone_magic, bytes, {}, nullptr, nullptr};
    clear();
  }
  ~ZoneMemory() { munmap(at_, bytes_); }
  ZoneMemory(const ZoneMemory&) = delete;
  ZoneMemory& operator=(const ZoneMemory&) = delete;

  ZoneHeader& header() const {
    auto* header = static_cast<ZoneHeader*>(at_);
    FL_ASSERT(header->magic == zone_magic && header->bytes == bytes_);
    return *header;
  }
  void clear() {
    ZoneHeader& head = header();
    head.root = nullptr;
    head.slab = Slab::create(static_cast<char*>(at_) + slab_offset, bytes_ - slab_offset);
    FL_ASSERT(head.slab != nullptr);  // zone_bytes_min sees to it
  }

 private:
  void* at_;
  size_t bytes_;
};

ShmLockGuard Zone::lock() {
  FL_ASSERT(attached());
  ShmRepair repair = repair_;
  if (!repair.repair) repair = {[](void* zone) { static_cast<Zone*>(zone)->clear(); }, this};
  return ShmLockGuard(memory_->header().lock, repair);
}

Slab& Zone::slab() {
  FL_ASSERT(attached());
  return *memory_->header().slab;
}

void* Zone::root_pointer() const {
  FL_ASSERT(attached());
  return memory_->header().root;
}

void Zone::set_root(void* root) {
  FL_ASSERT(attached() && (!root || slab().owns(root)));
  memory_->header().root = root;
}

void Zone::clear() {
  FL_ASSERT(attached());
  memory_->clear();
}

bool Zone::break_lock(pid_t dead) { return attached() && memory_->header().lock.break_lock(dead); }

ConfResult<Zone*> ZoneSet::declare(std::string_view name, size_t bytes, const void* owner) {
  if (bytes != 0 && bytes < zone_bytes_min) return format("zone \"{}\" is too small", name);
  Zone* known = find(name);
  if (!known) {
    zones_.push_back(std::make_unique<Zone>(name, bytes, owner));
    return zones_.back().get();
  }
  if (known->owner_ != owner) return format("the shared memory zone \"{}\" is already declared for a different use", name);
  if (known->bytes_ == 0) known->bytes_ = bytes;
  if (bytes != 0 && bytes != known->bytes_) {
    return format("the size {} of shared memory zone \"{}\" conflicts with already declared size {}", bytes, name, known->bytes_);
  }
  return known;
}

Zone* ZoneSet::find(std::string_view name) const {
  for (const auto& zone : zones_) {
    if (zone->name_ == name) return zone.get();
  }
  return nullptr;
}

ConfResult<> ZoneSet::attach(const ZoneSet* previous) {
  for (const auto& zone : zones_) {
    FL_ASSERT(!zone->attached());
    if (zone->bytes_ == 0) return format("zero size shared memory zone \"{}\"", zone->name_);
    const Zone* old = previous ? previous->find(zone->name_) : nullptr;
    if (old && old->attached() && old->bytes_ == zone->bytes_ && old->owner_ == zone->owner_) {
      zone->memory_ = old->memory_;
      zone->taken_over_ = true;
      continue;
    }
    zone->memory_ = ZoneMemory::map(zone->bytes_);
    if (!zone->memory_) return format("mmap(MAP_ANON|MAP_SHARED, {}) failed ({}: {})", zone->bytes_, errno, strerror(errno));
  }
  return Unit();
}

int ZoneSet::break_locks(pid_t dead) {
  int broken = 0;
  for (const auto& zone : zones_) broken += zone->break_lock(dead);
  return broken;
}

void ZoneSet::forget_process(pid_t dead) {
  for (const auto& zone : zones_)
    if (zone->forget_ && zone->attached()) zone->forget_(*zone, dead);
}

}  // namespace fairlead
