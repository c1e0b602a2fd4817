// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/names.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/upstream/group.h"

namespace fairlead {
namespace {

// nginx's rule: the weight of the line, if it says one, goes before that of the record.
PeerSpec peer_of(const ServerLine& line, const NamedAddress& known) {
  PeerSpec peer = line.spec;
  peer.address = known.address;
  peer.name = known.address.text();
  if (!known.target.empty()) peer.server = known.target;
  if (peer.weight == 1 && known.weight > 0) peer.weight = known.weight;
  peer.backup = peer.backup || known.backup;
  return peer;
}

void put_number(std::string& to, uint64_t number, int bytes) {
  for (int i = 0; i < bytes; ++i) to.push_back(static_cast<char>(number >> (8 * i)));
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  bool is_good() const { return good_; }
  bool is_at_end() const { return rest_.empty(); }
  std::string_view take(size_t count) {
    if (rest_.size() < count) {
      good_ = false;
      rest_ = {};
      return {};
    }
    std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  uint64_t number(int bytes) {
    uint64_t value = 0;
    std::string_view taken = take(static_cast<size_t>(bytes));
    for (size_t i = taken.size(); i > 0; --i) value = value << 8 | static_cast<unsigned char>(taken[i - 1]);
    return value;
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

uint32_t inet_number(std::string_view bytes) {
  uint32_t ip = 0;
  for (char byte : bytes) ip = ip << 8 | static_cast<unsigned char>(byte);
  return ip;
}

}  // namespace

std::vector<PeerSpec> peers_of(const GroupSpec& group, std::span<const NamedAddresses> known) {
  std::vector<PeerSpec> peers;
  for (size_t i = 0; i < group.servers.size(); ++i) {
    const ServerLine& line = group.servers[i];
    if (line.host.empty()) peers.push_back(line.spec);
    else
      for (const NamedAddress& address : known[i]) peers.push_back(peer_of(line, address));
  }
  return peers;
}

// Each: length and bytes of the address, port, weight, backup, length and text of the target.
std::string encode_names(const NamedAddresses& known) {
  std::string bytes;
  for (const NamedAddress& each : known) {
    std::string_view ip = each.address.bytes();
    put_number(bytes, ip.size(), 1);
    bytes.append(ip);
    put_number(bytes, each.address.port(), 2);
    put_number(bytes, each.weight, 4);
    put_number(bytes, each.backup, 1);
    put_number(bytes, each.target.size(), 2);
    bytes.append(each.target);
  }
  return bytes;
}

std::optional<NamedAddresses> decode_names(std::string_view bytes) {
  NamedAddresses known;
  ByteReader from(bytes);
  while (!from.is_at_end()) {
    uint64_t size = from.number(1);
    std::string_view ip = from.take(size);
    auto port = static_cast<uint16_t>(from.number(2));
    NamedAddress each;
    each.weight = static_cast<uint32_t>(from.number(4));
    each.backup = from.number(1) != 0;
    each.target = std::string(from.take(from.number(2)));
    if (!from.is_good() || (size != 4 && size != 16)) return std::nullopt;
    each.address = size == 4 ? Addr::inet(inet_number(ip), port) : Addr::inet6(ip.data(), port);
    known.push_back(std::move(each));
  }
  return known;
}

std::string names_key(const GroupSpec& group, const ServerLine& line) {
  std::string key(group.name);
  for (std::string_view part : {line.text, line.service}) {
    key.push_back('\0');
    key.append(part);
  }
  return key;
}

struct ZoneNames::Record {
  std::string key, known;
  uint64_t generation = 0;  // that wants it; 0: stored by a worker since
};

ZoneNames* ZoneNames::create(void* memory, size_t bytes) {
  FL_ASSERT(bytes > sizeof(ZoneNames));
  return new (memory) ZoneNames(bytes - sizeof(ZoneNames));
}

std::vector<ZoneNames::Record> ZoneNames::read() const {
  std::vector<Record> records;
  ByteReader from({bytes(), used_});
  while (!from.is_at_end()) {
    Record& record = records.emplace_back();
    record.generation = from.number(8);
    record.key = std::string(from.take(from.number(2)));
    record.known = std::string(from.take(from.number(4)));
    FL_ASSERT(from.is_good());
  }
  return records;
}

bool ZoneNames::write(const std::vector<Record>& records) {
  std::string all;
  for (const Record& record : records) {
    put_number(all, record.generation, 8);
    put_number(all, record.key.size(), 2);
    all.append(record.key);
    put_number(all, record.known.size(), 4);
    all.append(record.known);
  }
  if (all.size() > capacity_) return false;
  std::memcpy(bytes(), all.data(), all.size());
  used_ = all.size();
  version_.fetch_add(1, std::memory_order_release);
  return true;
}

bool ZoneNames::store(std::string_view key, const NamedAddresses& known) {
  std::vector<Record> records = read();
  std::string bytes = encode_names(known);
  auto there = std::find_if(records.begin(), records.end(), [&](const Record& record) { return record.key == key; });
  if (there == records.end()) there = records.insert(there, Record{std::string(key), {}, 0});
  else if (there->known == bytes) return true;
  there->known = std::move(bytes);
  return write(records);
}

std::optional<NamedAddresses> ZoneNames::find(std::string_view key) const {
  for (const Record& record : read())
    if (record.key == key) return decode_names(record.known);
  return std::nullopt;
}

void ZoneNames::keep(std::span<const std::string> wanted, uint64_t generation) {
  std::vector<Record> records = read();
  for (Record& record : records)
    if (std::find(wanted.begin(), wanted.end(), record.key) != wanted.end()) record.generation = generation;
  std::erase_if(records, [&](const Record& record) { return record.generation != 0 && record.generation + 1 < generation; });
  write(records);
}

void ZoneNames::clear() {
  used_ = 0;
  version_.fetch_add(1, std::memory_order_release);
}

}  // namespace fairlead
