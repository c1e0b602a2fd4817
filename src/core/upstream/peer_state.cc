// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/peer_state.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "core/base/hash.h"

namespace fairlead {

PeerKey make_peer_key(const PeerName& of) {
  char text[Addr::text_max];
  std::string bytes(text, of.address.write(text));
  std::string twin = std::to_string(of.twin);
  for (std::string_view part : {of.name, of.server, of.group, std::string_view(twin)}) {
    bytes.push_back('\0');
    bytes.append(part);
  }
  return md5(bytes);
}

// `slots` continues behind the record: one entry per worker slot. Marks: a freed record stays on the probe path of those behind it.
struct PeerTable::Record {
  enum Mark : uint32_t { never_used, in_use, freed };
  PeerState state;  // first: record_of()
  PeerKey key;
  Mark mark;
  uint32_t references;  // of all slots
  struct BySlot {
    uint32_t conns;
    uint32_t references;
  } slots[1];
};

size_t PeerTable::record_bytes(uint32_t slots) {
  size_t bytes = sizeof(Record) + sizeof(Record::BySlot) * (slots > 0 ? slots - 1 : 0);
  return (bytes + 15) / 16 * 16;
}

size_t PeerTable::bytes_for(size_t peers, uint32_t slots) { return (sizeof(PeerTable) + 15) / 16 * 16 + peers * record_bytes(slots); }

PeerTable* PeerTable::create(void* memory, size_t bytes, uint32_t slots) {
  FL_ASSERT(slots > 0 && bytes >= bytes_for(1, slots) && reinterpret_cast<uintptr_t>(memory) % 16 == 0);
  std::memset(memory, 0, bytes);
  size_t capacity = (bytes - bytes_for(0, slots)) / record_bytes(slots);
  return new (memory) PeerTable(static_cast<uint32_t>(std::min<size_t>(capacity, UINT32_MAX)), slots);
}

PeerTable* PeerTable::at(void* memory) {
  auto* table = static_cast<PeerTable*>(memory);
  FL_ASSERT(table->magic_ == magic);
  return table;
}

PeerTable::Record* PeerTable::record(uint32_t index) {
  char* first = reinterpret_cast<char*>(this) + bytes_for(0, slots_);
  return reinterpret_cast<Record*>(first + index * record_bytes(slots_));
}

PeerTable::Record* PeerTable::record_of(PeerState* state) { return reinterpret_cast<Record*>(state); }

PeerState* PeerTable::acquire(const PeerKey& key, uint32_t weight, uint32_t slot) {
  FL_ASSERT(slot < slots_);
  uint64_t start;
  std::memcpy(&start, key.data(), sizeof start);
  Record* vacant = nullptr;
  for (uint32_t i = 0; i < capacity_; ++i) {
    Record* at = record(static_cast<uint32_t>((start + i) % capacity_));
    if (at->mark == Record::in_use) {
      if (at->key != key) continue;
      ++at->references;
      ++at->slots[slot].references;
      at->state.set_weight(weight);
      return &at->state;
    }
    if (!vacant) vacant = at;
    if (at->mark == Record::never_used) break;
  }
  if (!vacant) return nullptr;
  std::memset(static_cast<void*>(vacant), 0, record_bytes(slots_));
  new (&vacant->state) PeerState();
  vacant->state.set_weight(weight);
  vacant->key = key;
  vacant->mark = Record::in_use;
  vacant->references = vacant->slots[slot].references = 1;
  ++used_;
  return &vacant->state;
}

void PeerTable::free_if_unused(Record& record) {
  if (record.references > 0) return;
  record.mark = Record::freed;
  --used_;
}

void PeerTable::release(PeerState* state, uint32_t slot) {
  Record& at = *record_of(state);
  FL_ASSERT(at.mark == Record::in_use && slot < slots_ && at.slots[slot].references > 0 && at.references > 0);
  --at.slots[slot].references;
  --at.references;
  free_if_unused(at);
}

void PeerTable::count_conn(PeerState* state, uint32_t slot) {
  FL_ASSERT(slot < slots_);
  ++state->conns;
  ++record_of(state)->slots[slot].conns;
}

void PeerTable::discount_conn(PeerState* state, uint32_t slot) {
  FL_ASSERT(slot < slots_);
  uint32_t& own = record_of(state)->slots[slot].conns;
  FL_ASSERT(own > 0 && state->conns > 0);
  --own;
  --state->conns;
}

void PeerTable::clear_slot(uint32_t slot) {
  FL_ASSERT(slot < slots_);
  for (uint32_t i = 0; i < capacity_; ++i) {
    Record* at = record(i);
    if (at->mark != Record::in_use) continue;
    Record::BySlot lost = std::exchange(at->slots[slot], {});
    if (lost.conns > 0) at->state.lose_conns(at->state.conns - std::min(at->state.conns, lost.conns));
    at->references -= std::min(at->references, lost.references);
    free_if_unused(*at);
  }
}

void PeerTable::repair() {
  used_ = 0;
  for (uint32_t i = 0; i < capacity_; ++i) {
    Record* at = record(i);
    if (at->mark != Record::in_use) continue;
    ++used_;
    PeerState& state = at->state;
    uint32_t conns = 0;
    at->references = 0;
    for (uint32_t slot = 0; slot < slots_; ++slot) {
      conns += at->slots[slot].conns;
      at->references += at->slots[slot].references;
    }
    free_if_unused(*at);
    state.lose_conns(conns);
    state.effective_weight = std::clamp<int64_t>(state.effective_weight, 0, state.weight);
    state.current_weight = 0;
  }
}

}  // namespace fairlead
