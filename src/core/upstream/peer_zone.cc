// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/peer_zone.h"

#include <algorithm>
#include <new>

#include "core/base/format.h"
#include "core/conf/generation.h"
#include "core/process/conf.h"
#include "core/shm/worker_slots.h"
#include "core/upstream/group.h"

namespace fairlead {
namespace {

// Slots of a table: for the workers of four generations that drain at once. Each costs eight bytes
// a peer. It keeps those it was made with: if more workers live, those beyond share the last one,
// and what a killed one of them had in flight or held stays counted until the zone is made anew.
constexpr uint32_t table_slots_min = 64;
constexpr uint32_t table_slots_max = 256;
static_assert(table_slots_max <= worker_slots_max);
uint32_t slots_for(Generation& generation) {
  uint32_t workers = conf<ProcessConf>(generation.root()).settings.worker_processes;
  return std::clamp(4 * workers, table_slots_min, table_slots_max);
}
uint32_t table_slot(const PeerTable& table, uint32_t slot) { return std::min(slot, table.slots() - 1); }

class ZonePeerLock final : public PeerLock {
 public:
  explicit ZonePeerLock(Zone& zone) : zone_(zone) {}
  void lock() override { guard_ = new (room_) ShmLockGuard(zone_.lock()); }
  void unlock() override { guard_->~ShmLockGuard(); }

 private:
  Zone& zone_;
  ShmLockGuard* guard_ = nullptr;
  alignas(ShmLockGuard) unsigned char room_[sizeof(ShmLockGuard)];
};

// Part of a zone that is kept for names, whether or not a group has any now: the zone outlives its configuration.
constexpr size_t names_share = 8;

// The root of a zone.
struct PeerZone {
  PeerTable* table;
  ZoneNames* names;
};

// Whoever died may have been writing names; the numbers of peers can be put right.
void repair_contents(void* zone) {
  PeerZone* contents = static_cast<Zone*>(zone)->root<PeerZone>();
  if (!contents) return;
  contents->table->repair();
  contents->names->clear();
}

// The table takes what the zone has, less what is kept for names and what a slab cannot give in one piece.
PeerZone* make_contents(Zone& zone, uint32_t slots) {
  ShmLockGuard guard = zone.lock();
  if (PeerZone* there = zone.root<PeerZone>()) return there;
  Slab& slab = zone.slab();
  size_t names_bytes = std::max(slab.capacity_bytes() / names_share, Slab::page_bytes);
  void* root = slab.allocate(sizeof(PeerZone));
  void* names = slab.allocate(names_bytes);
  if (!root || !names) return nullptr;
  void* table = nullptr;
  size_t bytes = slab.capacity_bytes();
  while (!(table = slab.allocate(bytes))) {
    bytes -= Slab::page_bytes;
    if (bytes < PeerTable::bytes_for(1, slots)) return nullptr;
  }
  zone.set_root(new (root) PeerZone{PeerTable::create(table, bytes, slots), ZoneNames::create(names, names_bytes)});
  return zone.root<PeerZone>();
}

// What workers of the generation before learnt about the names of the group.
void take_names(GroupSpec& group) {
  ShmLockGuard guard = group.zone->lock();
  for (ServerLine& line : group.servers) {
    if (line.host.empty()) continue;
    auto learnt = group.zone_names->find(names_key(group, line));
    if (learnt && !learnt->empty()) line.known = std::move(*learnt);
  }
  group.use_known();
}

// Forgets the names that no group has any more.
void keep_names(Generation& generation, ZoneNames& names, Zone& zone) {
  std::vector<std::string> wanted;
  for (auto& group : upstreams_of(generation).groups) {
    if (group->zone_names != &names) continue;
    for (const ServerLine& line : group->servers)
      if (!line.host.empty()) wanted.push_back(names_key(*group, line));
  }
  ShmLockGuard guard = zone.lock();
  names.keep(wanted, generation.number());
}

// Edits are changed one by one, each whole as soon as it counts: nothing is to be repaired but that workers look again.
void repair_edits(void* zone) {
  if (PeerEdits* edits = static_cast<Zone*>(zone)->root<PeerEdits>()) edits->note_change();
}

PeerEdits* make_edits(Zone& zone) {
  ShmLockGuard guard = zone.lock();
  if (PeerEdits* there = zone.root<PeerEdits>()) return there;
  for (size_t bytes = zone.slab().capacity_bytes(); bytes >= PeerEdits::bytes_for(1); bytes -= Slab::page_bytes) {
    void* memory = zone.slab().allocate(bytes);
    if (!memory) continue;
    zone.set_root(memory);
    return PeerEdits::create(memory, bytes);
  }
  return nullptr;
}

template <class Function>
void each_table(Generation& generation, Function function) {
  Zone* last = nullptr;
  for (auto& group : upstreams_of(generation).groups) {
    if (!group->share.table || group->zone == last) continue;
    last = group->zone;
    function(*group);
  }
}

}  // namespace

ConfResult<Unit> attach_peer_zones(Generation& generation) {
  for (auto& group : upstreams_of(generation).groups) {
    if (!group->zone) continue;
    group->zone->set_repair({&repair_contents, group->zone});
    PeerZone* contents = make_contents(*group->zone, slots_for(generation));
    if (!contents) return format("no memory in upstream zone \"{}\"", group->zone->name());
    group->share.group = group->name;
    group->share.table = contents->table;
    group->zone_names = contents->names;
    if (group->has_names()) take_names(*group);
    group->share.lock = generation.arena().make<ZonePeerLock>(*group->zone);
    group->edits_zone->set_repair({&repair_edits, group->edits_zone});
    group->edits.table = make_edits(*group->edits_zone);
    group->edits.lock = generation.arena().make<ZonePeerLock>(*group->edits_zone);
    auto held = PeerSet::make_shared(group->peers, group->share);
    if (!held) return format("no memory in upstream zone \"{}\"", group->zone->name());
    group->held = std::make_unique<PeerSet>(std::move(*held));
  }
  each_table(generation, [&](GroupSpec& group) { keep_names(generation, *group.zone_names, *group.zone); });
  return Unit();
}

void join_peer_zones(Generation& generation, uint32_t slot) {
  for (auto& group : upstreams_of(generation).groups)
    if (group->share.table) group->share.slot = table_slot(*group->share.table, slot);
}

void forget_peer_zones(Generation& generation, uint32_t slot) {
  each_table(generation, [&](GroupSpec& group) {
    if (slot >= group.share.table->slots() - 1) return;
    group.share.lock->lock();
    group.share.table->clear_slot(slot);
    group.share.lock->unlock();
  });
}

}  // namespace fairlead
