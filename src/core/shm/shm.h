// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Shared zones: memory by name that the master maps before it forks, so that it lies at the same address in the master and in every
// worker and survives a reload. Contents are plain values, offsets, and pointers into the same zone; no pointer to memory of a process,
// no vtable. A ZoneSet belongs to one configuration generation; the memory of a zone lives until no generation names it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/shm/lock.h"
#include "core/shm/slab.h"

namespace fairlead {

// Eight pages. A module that reads a size from the configuration refuses less with `zone "..." is too small`.
constexpr size_t zone_bytes_min = 32 * 1024;

class ZoneMemory;

// A zone as one generation sees it. The object is each process's own (copied by fork); what it points to is shared.
class Zone {
 public:
  Zone(std::string_view name, size_t bytes, const void* owner) : name_(name), bytes_(bytes), owner_(owner) {}
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

  const std::string& name() const { return name_; }
  size_t bytes() const { return bytes_; }  // as configured; 0 until a declaration says it
  const void* owner() const { return owner_; }

  // From here on only after ZoneSet::attach().
  bool attached() const { return memory_ != nullptr; }
  // Whether the contents come from an earlier generation. Then root() is what that one left.
  bool taken_over() const { return taken_over_; }

  // For plain code that never waits: `ShmLockGuard guard = zone.lock();`. Everything below needs it while workers run.
  ShmLockGuard lock();
  Slab& slab();
  // The owner's entry point, a pointer into the zone; nullptr in a fresh or emptied zone.
  template <class T>
  T* root() const { return static_cast<T*>(root_pointer()); }
  void set_root(void* root);
  // Forgets all contents: an empty slab, no root.
  void clear();

  // What to do when a process died while holding the lock. Set in the master before fork, per generation; `state` is the process's own
  // memory. Without one the zone is emptied with clear(), so an owner without a repair must look at root() every time.
  void set_repair(ShmRepair repair) { repair_ = repair; }
  // For the master, when the process `dead` has ended: frees the lock if that process holds it. True if it did.
  bool break_lock(pid_t dead);
  // What gives back, under the lock, what the process `dead` alone held in the contents (places, counts). Set in the master before fork,
  // per generation.
  using Forget = void (*)(Zone& zone, pid_t dead);
  void set_forget(Forget forget) { forget_ = forget; }

 private:
  friend class ZoneSet;
  void* root_pointer() const;

  std::string name_;
  size_t bytes_;
  const void* owner_;
  bool taken_over_ = false;
  std::shared_ptr<ZoneMemory> memory_;
  ShmRepair repair_;
  Forget forget_ = nullptr;
};

// The zones of one generation. Until the generation is dropped the zones stay at their addresses.
class ZoneSet {
 public:
  // Names a zone while the configuration is read. `bytes` 0 only refers to one that is declared elsewhere, before or after. `owner` is
  // an address that identifies the module (or kind of use). Several declarations must agree; the reason otherwise is nginx's wording.
  ConfResult<Zone*> declare(std::string_view name, size_t bytes, const void* owner);
  // The zone of that name, or nullptr.
  Zone* find(std::string_view name) const;
  const std::vector<std::unique_ptr<Zone>>& zones() const { return zones_; }

  // Gives every declared zone its memory: that of the same name, size and owner in `previous` (may be null), else a fresh mapping.
  // `previous` is not changed: dropping this set undoes everything. Fails on a zone that nobody gave a size and on a failed mapping.
  ConfResult<> attach(const ZoneSet* previous);

  // For the master, when the process `dead` has ended: gives how many locks it held.
  int break_locks(pid_t dead);
  // The same, locks being broken: what it held in the zones is given back.
  void forget_process(pid_t dead);

 private:
  std::vector<std::unique_ptr<Zone>> zones_;
};

}  // namespace fairlead
