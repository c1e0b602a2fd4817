// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// SharedDict: what ngx.shared.NAME is, without Lua: a table of values with times of expiry in a shared zone, ordered by last use: whatever
// looks a value up uses it, but asking for its time of expiry or setting that does not. Values are texts, numbers, booleans, and lists of
// texts and numbers. Each call is one operation under the zone's lock; nothing of the zone is seen outside. Owned by the VM; the contents
// belong to the zone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace fairlead {
class Generation;
class Slab;
class Zone;
}  // namespace fairlead

namespace fairlead::lua {

enum class DictType : uint8_t { none, boolean, number, text, list };

// A value on its way into a dictionary: `text` is the caller's.
struct DictValue {
  DictType type = DictType::none;
  bool boolean = false;
  double number = 0;
  std::string_view text;
};

// A value on its way out: copied.
struct DictFound {
  DictType type = DictType::none;  // none: there is nothing
  bool boolean = false;
  double number = 0;
  std::string text;
  uint32_t flags = 0;
  bool stale = false;
};

enum class DictError : uint8_t { none, exists, not_found, no_memory, not_a_number, not_a_list };

class SharedDict {
 public:
  static constexpr size_t key_bytes_max = 65535;

  SharedDict(Zone& zone, size_t configured_bytes) : zone_(zone), configured_bytes_(configured_bytes) {}
  SharedDict(const SharedDict&) = delete;
  SharedDict& operator=(const SharedDict&) = delete;

  // Times in milliseconds since 1970; `ttl_ms` 0: for ever. With `stale`, also what has expired and is still there.
  void get(std::string_view key, int64_t now_ms, bool stale, DictFound& found);

  enum class Mode : uint8_t { set, add, replace };
  struct Store {
    Mode mode = Mode::set;
    bool safe = false;  // valid items are not evicted to make room
    int64_t ttl_ms = 0;
    uint32_t flags = 0;
  };
  struct Stored {
    DictError error = DictError::none;
    bool forcible = false;  // valid items were evicted
  };
  // A value of type none deletes.
  Stored store(std::string_view key, const DictValue& value, const Store& how, int64_t now_ms);

  struct Step {
    double by = 0;
    std::optional<double> init;  // where there is none
    int64_t init_ttl_ms = 0;
  };
  Stored increment(std::string_view key, const Step& step, int64_t now_ms, double& result);

  // At the front (left) or the back.
  DictError push(std::string_view key, const DictValue& value, bool front, int64_t now_ms, uint32_t& length);
  // Nothing found: type none.
  DictError pop(std::string_view key, bool front, int64_t now_ms, DictFound& found);
  DictError length(std::string_view key, int64_t now_ms, uint32_t& length);

  // Milliseconds left, 0: for ever, -1: not found.
  int64_t ttl_ms(std::string_view key, int64_t now_ms);
  bool expire(std::string_view key, int64_t ttl_ms, int64_t now_ms);

  void flush_all();
  // At most `most` (0: all); gives how many.
  uint64_t flush_expired(uint64_t most, int64_t now_ms);
  // The keys of what is valid, each behind its size (4 bytes), at most `most` (0: all), the least recently used first.
  void keys(uint64_t most, int64_t now_ms, std::string& to);

  size_t capacity() const { return configured_bytes_; }
  size_t free_space();

 private:
  struct Element;
  struct List;
  struct Item;
  struct Root;

  // How room is made.
  struct Room {
    int64_t now_ms;
    bool safe;              // valid items stay
    bool forcible = false;  // one had to go
  };

  Root& root();
  Item* find(Root& root, std::string_view key, uint32_t hash);
  Item* find_valid(Root& root, std::string_view key, int64_t now_ms);
  void remove(Root& root, Item& item);
  void free_elements(Item& item);
  int drop_expired(Root& root, int most, int64_t now_ms);
  void* allocate(Root& root, size_t bytes, const Item* kept, Room& room);
  Item* insert(Root& root, std::string_view key, size_t value_bytes, Room& room);
  static void set_value(Item& item, const DictValue& value);
  static void read(Item& item, DictFound& found);
  static void touch(Root& root, Item& item);
  static void link(Root& root, Item& item);
  static void unlink(Root& root, Item& item);

  Zone& zone_;
  size_t configured_bytes_;
};

// The zone of a lua_shared_dict; the error is the reason.
ConfResult<Zone*> declare_dict(Generation& generation, std::string_view name, size_t bytes);

}  // namespace fairlead::lua
