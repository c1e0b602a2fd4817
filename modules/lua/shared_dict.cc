// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/shared_dict.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/conf/generation.h"
#include "core/shm/shm.h"

namespace fairlead::lua {

// Zones lie at one address in all processes, so they may hold pointers into themselves.
struct SharedDict::Element {
  Element* next;
  Element* before;
  double number;
  uint32_t bytes;  // of the text behind this
  DictType type;
  char* text() { return reinterpret_cast<char*>(this + 1); }
};

struct SharedDict::List {
  Element* first;
  Element* last;
  uint32_t elements;
};

// Followed by the value (a text, a double or a List; a boolean is in here) and the key. What is small here lets more items into a zone.
struct SharedDict::Item {
  Item* bucket_next;
  Item* older;
  Item* newer;
  int64_t expires_ms;  // 0: never; 1: flushed
  uint32_t hash;
  uint32_t flags;
  uint32_t value_bytes;
  uint16_t key_bytes;
  DictType type;
  bool boolean;

  char* value_at() { return reinterpret_cast<char*>(this + 1); }
  char* key_at() { return value_at() + value_bytes; }
  std::string_view key() { return {key_at(), key_bytes}; }
  std::string_view text() { return {value_at(), value_bytes}; }
  double& number() { return *reinterpret_cast<double*>(value_at()); }
  List& list() { return *reinterpret_cast<List*>(value_at()); }
  bool is_expired(int64_t now_ms) const { return expires_ms != 0 && expires_ms <= now_ms; }
};

struct SharedDict::Root {
  Item** buckets;
  Item* oldest;
  Item* newest;
  uint64_t seed;
  uint32_t mask;
};

static constexpr int eviction_tries_max = 30;
static constexpr size_t bytes_per_bucket = 256;
static char owner_of_dicts;

ConfResult<Zone*> declare_dict(Generation& generation, std::string_view name, size_t bytes) {
  return generation.zones.declare(name, std::max(bytes, zone_bytes_min), &owner_of_dicts);
}

static size_t bytes_of(const DictValue& value) {
  return value.type == DictType::text ? value.text.size() : value.type == DictType::number ? sizeof(double) : 0;
}

static int64_t expiry(int64_t ttl_ms, int64_t now_ms) { return ttl_ms > 0 ? now_ms + ttl_ms : 0; }

// Made anew when the zone is fresh, or was emptied after a process died in the middle of a change.
SharedDict::Root& SharedDict::root() {
  if (Root* known = zone_.root<Root>()) return *known;
  Slab& slab = zone_.slab();
  uint32_t count = 16;
  while (size_t{count} * 2 * bytes_per_bucket <= zone_.bytes()) count *= 2;
  Root* made = new (slab.allocate(sizeof(Root))) Root();
  void* buckets = slab.allocate(sizeof(Item*) * count);
  FL_ASSERT(made && buckets);
  std::memset(buckets, 0, sizeof(Item*) * count);
  made->buckets = static_cast<Item**>(buckets);
  made->mask = count - 1;
  made->oldest = made->newest = nullptr;
  made->seed = Random::from_system().next();
  zone_.set_root(made);
  return *made;
}

static uint32_t hash_of(std::string_view key, uint64_t seed) { return static_cast<uint32_t>(hash_bytes(key, seed)); }

SharedDict::Item* SharedDict::find(Root& root, std::string_view key, uint32_t hash) {
  Item* item = root.buckets[hash & root.mask];
  while (item && !(item->hash == hash && item->key() == key)) item = item->bucket_next;
  return item;
}

SharedDict::Item* SharedDict::find_valid(Root& root, std::string_view key, int64_t now_ms) {
  Item* item = find(root, key, hash_of(key, root.seed));
  return item && !item->is_expired(now_ms) ? item : nullptr;
}

void SharedDict::link(Root& root, Item& item) {
  item.newer = nullptr;
  item.older = root.newest;
  if (root.newest) root.newest->newer = &item;
  else root.oldest = &item;
  root.newest = &item;
}

void SharedDict::unlink(Root& root, Item& item) {
  (item.older ? item.older->newer : root.oldest) = item.newer;
  (item.newer ? item.newer->older : root.newest) = item.older;
}

void SharedDict::touch(Root& root, Item& item) {
  if (root.newest == &item) return;
  unlink(root, item);
  link(root, item);
}

void SharedDict::free_elements(Item& item) {
  if (item.type != DictType::list) return;
  List& list = item.list();
  while (Element* element = list.first) {
    list.first = element->next;
    zone_.slab().release(element);
  }
  list = List();
}

void SharedDict::remove(Root& root, Item& item) {
  unlink(root, item);
  Item** at = &root.buckets[item.hash & root.mask];
  while (*at != &item) at = &(*at)->bucket_next;
  *at = item.bucket_next;
  free_elements(item);
  zone_.slab().release(&item);
}

int SharedDict::drop_expired(Root& root, int most, int64_t now_ms) {
  int dropped = 0;
  while (dropped < most && root.oldest && root.oldest->is_expired(now_ms)) {
    remove(root, *root.oldest);
    ++dropped;
  }
  return dropped;
}

// Room is made from the oldest on; `kept` stays whatever its age.
void* SharedDict::allocate(Root& root, size_t bytes, const Item* kept, Room& room) {
  Slab& slab = zone_.slab();
  void* made = slab.allocate(bytes);
  for (int tries = 0; !made && tries < eviction_tries_max; ++tries) {
    Item* oldest = root.oldest == kept && kept ? root.oldest->newer : root.oldest;
    if (!oldest || (room.safe && !oldest->is_expired(room.now_ms))) break;
    if (!oldest->is_expired(room.now_ms)) room.forcible = true;
    remove(root, *oldest);
    made = slab.allocate(bytes);
  }
  return made;
}

SharedDict::Item* SharedDict::insert(Root& root, std::string_view key, size_t value_bytes, Room& room) {
  static_assert(sizeof(Item) % alignof(List) == 0 && sizeof(Item) % alignof(double) == 0, "the value lies behind it");
  drop_expired(root, 2, room.now_ms);
  void* memory = allocate(root, sizeof(Item) + key.size() + value_bytes, nullptr, room);
  if (!memory) return nullptr;
  Item* item = new (memory) Item();
  item->hash = hash_of(key, root.seed);
  item->key_bytes = static_cast<uint16_t>(key.size());
  item->value_bytes = static_cast<uint32_t>(value_bytes);
  std::memcpy(item->key_at(), key.data(), key.size());
  item->bucket_next = root.buckets[item->hash & root.mask];
  root.buckets[item->hash & root.mask] = item;
  link(root, *item);
  return item;
}

void SharedDict::set_value(Item& item, const DictValue& value) {
  item.type = value.type;
  item.boolean = value.boolean;
  if (value.type == DictType::number) item.number() = value.number;
  if (value.type == DictType::text) std::memcpy(item.value_at(), value.text.data(), value.text.size());
}

void SharedDict::read(Item& item, DictFound& found) {
  found.type = item.type;
  found.boolean = item.boolean;
  found.flags = item.flags;
  if (item.type == DictType::number) found.number = item.number();
  if (item.type == DictType::text) found.text.assign(item.text());
}

void SharedDict::get(std::string_view key, int64_t now_ms, bool stale, DictFound& found) {
  found.type = DictType::none;
  ShmLockGuard guard = zone_.lock();
  Root& table = root();
  Item* item = find(table, key, hash_of(key, table.seed));
  if (!item) return;
  found.stale = item->is_expired(now_ms);
  if (found.stale && !stale) return;
  if (!found.stale) touch(table, *item);
  read(*item, found);
}

SharedDict::Stored SharedDict::store(std::string_view key, const DictValue& value, const Store& how, int64_t now_ms) {
  Stored stored;
  ShmLockGuard guard = zone_.lock();
  Root& table = root();
  Item* item = find(table, key, hash_of(key, table.seed));
  bool valid = item && !item->is_expired(now_ms);
  if (valid) touch(table, *item);
  if (how.mode == Mode::add && valid) stored.error = DictError::exists;
  if (how.mode == Mode::replace && !valid) stored.error = DictError::not_found;
  if (stored.error != DictError::none) return stored;
  size_t bytes = bytes_of(value);
  if (item && (value.type == DictType::none || item->value_bytes != bytes)) {
    remove(table, *item);
    item = nullptr;
  }
  if (value.type == DictType::none) return stored;
  if (item) {
    free_elements(*item);
    if (!valid) touch(table, *item);
  } else {
    Room room{now_ms, how.safe};
    item = insert(table, key, bytes, room);
    stored.forcible = room.forcible;
    if (!item) stored.error = DictError::no_memory;
    if (!item) return stored;
  }
  set_value(*item, value);
  item->expires_ms = expiry(how.ttl_ms, now_ms);
  item->flags = how.flags;
  return stored;
}

SharedDict::Stored SharedDict::increment(std::string_view key, const Step& step, int64_t now_ms, double& result) {
  Stored stored;
  ShmLockGuard guard = zone_.lock();
  Root& table = root();
  Item* item = find(table, key, hash_of(key, table.seed));
  if (item && !item->is_expired(now_ms)) {
    touch(table, *item);
    if (item->type != DictType::number) {
      stored.error = DictError::not_a_number;
      return stored;
    }
    result = item->number() += step.by;
    return stored;
  }
  if (!step.init) {
    stored.error = DictError::not_found;
    return stored;
  }
  if (item) remove(table, *item);
  Room room{now_ms, false};
  item = insert(table, key, sizeof(double), room);
  stored.forcible = room.forcible;
  if (!item) stored.error = DictError::no_memory;
  if (!item) return stored;
  item->type = DictType::number;
  result = item->number() = *step.init + step.by;
  item->expires_ms = expiry(step.init_ttl_ms, now_ms);
  return stored;
}

DictError SharedDict::push(std::string_view key, const DictValue& value, bool front, int64_t now_ms, uint32_t& length) {
  ShmLockGuard guard = zone_.lock();
  Root& table = root();
  Item* item = find(table, key, hash_of(key, table.seed));
  if (item && item->is_expired(now_ms)) {
    remove(table, *item);
    item = nullptr;
  }
  if (item) touch(table, *item);
  if (item && item->type != DictType::list) return DictError::not_a_list;
  bool fresh = !item;
  Room room{now_ms, true};
  if (fresh) {
    item = insert(table, key, sizeof(List), room);
    if (!item) return DictError::no_memory;
    item->type = DictType::list;
    item->list() = List();
  }
  size_t bytes = value.type == DictType::text ? value.text.size() : 0;
  void* memory = allocate(table, sizeof(Element) + bytes, item, room);
  if (!memory) {
    if (fresh) remove(table, *item);
    return DictError::no_memory;
  }
  Element* element = new (memory) Element{nullptr, nullptr, value.number, static_cast<uint32_t>(bytes), value.type};
  if (bytes) std::memcpy(element->text(), value.text.data(), bytes);
  List& list = item->list();
  element->next = front ? list.first : nullptr;
  element->before = front ? nullptr : list.last;
  (element->next ? element->next->before : list.last) = element;
  (element->before ? element->before->next : list.first) = element;
  length = ++list.elements;
  return DictError::none;
}

DictError SharedDict::pop(std::string_view key, bool front, int64_t now_ms, DictFound& found) {
  found.type = DictType::none;
  ShmLockGuard guard = zone_.lock();
  Root& table = root();
  Item* item = find_valid(table, key, now_ms);
  if (!item) return DictError::none;
  touch(table, *item);
  if (item->type != DictType::list) return DictError::not_a_list;
  List& list = item->list();
  Element* element = front ? list.first : list.last;
  found.type = element->type;
  found.number = element->number;
  found.text.assign(element->text(), element->bytes);
  (element->next ? element->next->before : list.last) = element->before;
  (element->before ? element->before->next : list.first) = element->next;
  zone_.slab().release(element);
  if (--list.elements == 0) remove(table, *item);
  return DictError::none;
}

DictError SharedDict::length(std::string_view key, int64_t now_ms, uint32_t& length) {
  ShmLockGuard guard = zone_.lock();
  Root& table = root();
  Item* item = find_valid(table, key, now_ms);
  if (item) touch(table, *item);
  length = 0;
  if (item && item->type != DictType::list) return DictError::not_a_list;
  if (item) length = item->list().elements;
  return DictError::none;
}

int64_t SharedDict::ttl_ms(std::string_view key, int64_t now_ms) {
  ShmLockGuard guard = zone_.lock();
  Item* item = find_valid(root(), key, now_ms);
  if (!item) return -1;
  return item->expires_ms ? item->expires_ms - now_ms : 0;
}

bool SharedDict::expire(std::string_view key, int64_t ttl_ms, int64_t now_ms) {
  ShmLockGuard guard = zone_.lock();
  Item* item = find_valid(root(), key, now_ms);
  if (item) item->expires_ms = expiry(ttl_ms, now_ms);
  return item != nullptr;
}

void SharedDict::flush_all() {
  ShmLockGuard guard = zone_.lock();
  for (Item* item = root().oldest; item; item = item->newer) item->expires_ms = 1;
}

uint64_t SharedDict::flush_expired(uint64_t most, int64_t now_ms) {
  ShmLockGuard guard = zone_.lock();
  Root& table = root();
  uint64_t freed = 0;
  for (Item* item = table.oldest; item && (most == 0 || freed < most);) {
    Item* newer = item->newer;
    if (item->is_expired(now_ms)) {
      remove(table, *item);
      ++freed;
    }
    item = newer;
  }
  return freed;
}

void SharedDict::keys(uint64_t most, int64_t now_ms, std::string& to) {
  ShmLockGuard guard = zone_.lock();
  uint64_t given = 0;
  for (Item* item = root().oldest; item && (most == 0 || given < most); item = item->newer) {
    if (item->is_expired(now_ms)) continue;
    uint32_t bytes = item->key_bytes;
    to.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
    to.append(item->key());
    ++given;
  }
}

size_t SharedDict::free_space() {
  ShmLockGuard guard = zone_.lock();
  root();
  return zone_.slab().usage().free_pages * Slab::page_bytes;
}

}  // namespace fairlead::lua
