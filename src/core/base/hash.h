// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Hashes: those whose values are a contract with configurations and peers (murmur2, crc32, crc32c, md5, the ketama ring) and a fast
// one for tables of our own. Cryptography proper is libcrypto's. Pure functions; the ring is the caller's vector.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fairlead {

// For hash tables inside one process: fast and well mixed, not the same from one version to the next. Against chosen keys give a
// random `seed`.
uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0);
// Mixes a whole number the same way.
uint64_t hash_number(uint64_t number);

// MurmurHash2, 32 bits, seed 0: what split_clients computes.
uint32_t murmur2(std::string_view bytes);

// CRC-32 (IEEE 802.3) and CRC-32C (Castagnoli). For bytes in pieces, give the result so far as `before`.
uint32_t crc32(std::string_view bytes, uint32_t before = 0);
uint32_t crc32c(std::string_view bytes, uint32_t before = 0);

using Md5 = std::array<unsigned char, 16>;
Md5 md5(std::string_view bytes);

// The ring of `hash ... consistent`. Points are sorted, no two with the same hash; peers with the same server name share points.
struct RingPoint {
  uint32_t hash;
  uint32_t server;  // what the caller named it by

  friend bool operator==(const RingPoint&, const RingPoint&) = default;
};
class HashRing {
 public:
  // Adds weight * 160 points for a server as its `server` line spells it ("10.0.0.1:80", "unix:/path").
  void add(std::string_view server_name, uint32_t weight, uint32_t server);
  // Sorts; of points with equal hash the server added first keeps it. After the last add(), before the first find().
  void finish();
  // The index of the first point at or behind `hash`, wrapping; the ring must not be empty. The next point of the walk is
  // (index + 1) % size().
  size_t find(uint32_t hash) const;
  const RingPoint& operator[](size_t index) const { return points_[index]; }
  size_t size() const { return points_.size(); }

 private:
  std::vector<RingPoint> points_;
};

}  // namespace fairlead
