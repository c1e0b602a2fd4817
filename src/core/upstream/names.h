// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the names of `server` lines stand for, the peers made of it, and its place in a zone: there one worker keeps what it learnt, and
// the others and the next generation read it. Who asks name servers is event's matter. ZoneNames lies in the zone's memory.
#pragma once

#include <atomic>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/addr.h"
#include "core/upstream/peer.h"

namespace fairlead {

struct GroupSpec;
struct ServerLine;

// One of the addresses of a line with a name.
struct NamedAddress {
  Addr address;         // with its port
  std::string target;   // of an SRV record, "host:port"; empty: the name of the line itself
  uint32_t weight = 0;  // of an SRV record; 0: not of one
  bool backup = false;  // of an SRV record that has not the first priority
  friend bool operator==(const NamedAddress&, const NamedAddress&) = default;
};
using NamedAddresses = std::vector<NamedAddress>;

// The group's peers when its lines with a name stand for `known`, by the lines' indexes.
std::vector<PeerSpec> peers_of(const GroupSpec& group, std::span<const NamedAddresses> known);

// As bytes in a zone, and back; nothing if they are not what encode_names() makes.
std::string encode_names(const NamedAddresses& known);
std::optional<NamedAddresses> decode_names(std::string_view bytes);

// What names a line in a zone.
std::string names_key(const GroupSpec& group, const ServerLine& line);

// What is known of the names of all groups of a zone: records one behind another in memory that somebody else owns. Under the zone's
// lock, but for version(). A change writes everything anew: there are few names, and they change seldom.
class ZoneNames {
 public:
  // Nothing known. `memory` is aligned to 16 and larger than the object.
  static ZoneNames* create(void* memory, size_t bytes);
  ZoneNames(const ZoneNames&) = delete;
  ZoneNames& operator=(const ZoneNames&) = delete;

  // Moves with each change of what is known.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  // False: no room; what was known stays.
  bool store(std::string_view key, const NamedAddresses& known);
  // Nothing: nobody has asked yet. Without addresses: somebody has, and there are none.
  std::optional<NamedAddresses> find(std::string_view key) const;
  // For the master, while it loads the generation of that number: the keys that it wants. What neither it nor the one before it wants
  // goes.
  void keep(std::span<const std::string> wanted, uint64_t generation);
  // After somebody died while writing: nothing is known. Who asks will store it again.
  void clear();

 private:
  struct Record;
  explicit ZoneNames(size_t capacity) : capacity_(capacity) {}
  std::vector<Record> read() const;
  bool write(const std::vector<Record>& records);
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }

  std::atomic<uint64_t> version_{1};
  size_t capacity_;
  size_t used_ = 0;
};

}  // namespace fairlead
