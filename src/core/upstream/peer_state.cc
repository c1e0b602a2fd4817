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

// `slots` continues behind the record: one entry per worker slot. Behind all records the heads of
// the chains, one for each record.
struct PeerTable::Record {
  PeerState state;  // first: record_of()
  PeerKey key;
  uint32_t next;        // of the chain
  uint32_t references;  // of all slots; 0: not used
  struct BySlot {
    uint32_t conns;
    uint32_t references;
  } slots[1];
};

size_t PeerTable::record_bytes(uint32_t slots) {
  size_t bytes = sizeof(Record) + sizeof(Record::BySlot) * (slots > 0 ? slots - 1 : 0);
  return (bytes + 15) / 16 * 16;
}

size_t PeerTable::bytes_for(size_t peers, uint32_t slots) {
  return (sizeof(PeerTable) + 15) / 16 * 16 + peers * (record_bytes(slots) + sizeof(uint32_t));
}

PeerTable* PeerTable::create(void* memory, size_t bytes, uint32_t slots) {
  FL_ASSERT(slots > 0 && bytes >= bytes_for(1, slots) && reinterpret_cast<uintptr_t>(memory) % 16 == 0);
  size_t capacity = (bytes - bytes_for(0, slots)) / (record_bytes(slots) + sizeof(uint32_t));
  auto* table = new (memory) PeerTable(static_cast<uint32_t>(std::min<size_t>(capacity, none)), slots);
  std::fill_n(table->chains(), table->capacity_, none);
  return table;
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

uint32_t PeerTable::index_of(const Record& record) {
  auto offset = reinterpret_cast<const char*>(&record) - reinterpret_cast<const char*>(this->record(0));
  return static_cast<uint32_t>(static_cast<size_t>(offset) / record_bytes(slots_));
}

PeerTable::Record* PeerTable::record_of(PeerState* state) { return reinterpret_cast<Record*>(state); }

uint32_t* PeerTable::chains() { return reinterpret_cast<uint32_t*>(record(capacity_)); }

uint32_t& PeerTable::chain(const PeerKey& key) {
  uint64_t digest;
  std::memcpy(&digest, key.data(), sizeof digest);
  return chains()[digest % capacity_];
}

void PeerTable::link(Record& record) {
  uint32_t& first = chain(record.key);
  record.next = first;
  first = index_of(record);
}

void PeerTable::unlink(Record& record) {
  uint32_t* at = &chain(record.key);
  while (*at != index_of(record)) at = &this->record(*at)->next;
  *at = record.next;
}

PeerTable::Record* PeerTable::take_unused() {
  if (free_ == none) return made_ < capacity_ ? record(made_++) : nullptr;
  Record* taken = record(free_);
  free_ = taken->next;
  return taken;
}

PeerState* PeerTable::acquire(const PeerKey& key, uint32_t weight, uint32_t slot) {
  FL_ASSERT(slot < slots_);
  for (uint32_t index = chain(key); index != none; index = record(index)->next) {
    Record* at = record(index);
    if (at->key != key) continue;
    ++at->references;
    ++at->slots[slot].references;
    at->state.set_weight(weight);
    return &at->state;
  }
  Record* made = take_unused();
  if (!made) return nullptr;
  std::memset(static_cast<void*>(made), 0, record_bytes(slots_));
  new (&made->state) PeerState();
  made->state.set_weight(weight);
  made->key = key;
  made->references = made->slots[slot].references = 1;
  link(*made);
  ++used_;
  return &made->state;
}

void PeerTable::free_if_unused(Record& record) {
  if (record.references > 0) return;
  unlink(record);
  record.next = free_;
  free_ = index_of(record);
  --used_;
}

void PeerTable::release(PeerState* state, uint32_t slot) {
  Record& at = *record_of(state);
  FL_ASSERT(slot < slots_ && at.slots[slot].references > 0 && at.references > 0);
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
  for (uint32_t i = 0; i < made_; ++i) {
    Record* at = record(i);
    if (at->references == 0) continue;
    Record::BySlot lost = std::exchange(at->slots[slot], {});
    if (lost.conns > 0) at->state.lose_conns(at->state.conns - std::min(at->state.conns, lost.conns));
    at->references -= std::min(at->references, lost.references);
    free_if_unused(*at);
  }
}

void PeerTable::repair() {
  used_ = 0;
  free_ = none;
  std::fill_n(chains(), capacity_, none);
  for (uint32_t i = 0; i < made_; ++i) {
    Record* at = record(i);
    PeerState& state = at->state;
    uint32_t conns = 0;
    at->references = 0;
    for (uint32_t slot = 0; slot < slots_; ++slot) {
      conns += at->slots[slot].conns;
      at->references += at->slots[slot].references;
    }
    ++used_;
    link(*at);
    free_if_unused(*at);
    state.lose_conns(conns);
    state.effective_weight = std::clamp<int64_t>(state.effective_weight, 0, state.weight);
    state.current_weight = 0;
  }
}

}  // namespace fairlead
