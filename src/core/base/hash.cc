// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/hash.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/text.h"

namespace fairlead {
namespace {

using Crc32Tables = std::array<std::array<uint32_t, 256>, 8>;

// Table k advances a byte over k further zero bytes, so eight bytes go in one step ("slicing by 8").
constexpr Crc32Tables make_crc_tables(uint32_t reversed_polynomial) {
  Crc32Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ reversed_polynomial : crc >> 1;
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = crc >> 8 ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}

constexpr Crc32Tables ieee_tables = make_crc_tables(0xedb88320);
constexpr Crc32Tables castagnoli_tables = make_crc_tables(0x82f63b78);

template <class T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

// Little-endian wherever it runs: these values are a contract.
uint32_t load_le32(const char* at) {
  uint32_t value = load<uint32_t>(at);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap32(value);
#endif
  return value;
}

uint32_t crc_with(const Crc32Tables& t, std::string_view bytes, uint32_t before) {
  uint32_t crc = ~before;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint32_t low = load_le32(at) ^ crc, high = load_le32(at + 4);
    crc = t[7][low & 0xff] ^ t[6][low >> 8 & 0xff] ^ t[5][low >> 16 & 0xff] ^ t[4][low >> 24] ^ t[3][high & 0xff] ^
          t[2][high >> 8 & 0xff] ^ t[1][high >> 16 & 0xff] ^ t[0][high >> 24];
  }
  for (; left > 0; ++at, --left) crc = crc >> 8 ^ t[0][(crc ^ static_cast<unsigned char>(*at)) & 0xff];
  return ~crc;
}

// The 128-bit product folded to 64 bits: one multiplication mixes every bit of both.
uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

constexpr uint64_t odd_1 = 0x9e3779b97f4a7c15, odd_2 = 0xd1b54a32d192ed03;  // of the golden and the plastic ratio

struct HostPort {
  std::string_view host, port;
};

// How the ring sees a server name: "unix:" goes, digits behind the last ':' are the port. An IPv6 address without a port loses its last
// group this way; the ring of nginx does the same.
HostPort split_server_name(std::string_view name) {
  if (starts_with_nocase(name, "unix:")) return {name.substr(5), ""};
  size_t digits = name.size();
  while (digits > 0 && is_digit(name[digits - 1])) --digits;
  if (digits > 0 && name[digits - 1] == ':') return {name.substr(0, digits - 1), name.substr(digits)};
  return {name, ""};
}

}  // namespace

uint64_t hash_number(uint64_t number) { return fold(number ^ odd_1, odd_2); }

uint64_t hash_bytes(std::string_view bytes, uint64_t seed) {
  const char* at = bytes.data();
  size_t left = bytes.size();
  uint64_t state = fold(seed ^ odd_1, bytes.size() ^ odd_2);
  for (; left > 16; at += 16, left -= 16) state = fold(load<uint64_t>(at) ^ odd_1 ^ state, load<uint64_t>(at + 8) ^ odd_2);
  uint64_t low = 0, high = 0;
  if (left >= 8) {  // two loads that overlap cover 8 to 16 bytes
    low = load<uint64_t>(at);
    high = load<uint64_t>(at + left - 8);
  } else if (left >= 4) {
    low = load<uint32_t>(at);
    high = load<uint32_t>(at + left - 4);
  } else if (left > 0) {  // first, middle and last byte
    low = static_cast<unsigned char>(at[0]);
    high = static_cast<uint64_t>(static_cast<unsigned char>(at[left / 2])) << 8 | static_cast<unsigned char>(at[left - 1]);
  }
  return fold(fold(low ^ odd_2 ^ state, high ^ odd_1) ^ odd_1, state ^ odd_2);
}

uint32_t murmur2(std::string_view bytes) {
  constexpr uint32_t m = 0x5bd1e995;
  const char* at = bytes.data();
  size_t left = bytes.size();
  uint32_t hash = static_cast<uint32_t>(left);  // seed 0 ^ length
  for (; left >= 4; at += 4, left -= 4) {
    uint32_t k = load_le32(at) * m;
    k = (k ^ k >> 24) * m;
    hash = hash * m ^ k;
  }
  if (left > 0) {
    uint32_t tail = 0;
    for (size_t i = left; i > 0; --i) tail = tail << 8 | static_cast<unsigned char>(at[i - 1]);
    hash = (hash ^ tail) * m;
  }
  hash = (hash ^ hash >> 13) * m;
  return hash ^ hash >> 15;
}

uint32_t crc32(std::string_view bytes, uint32_t before) { return crc_with(ieee_tables, bytes, before); }
uint32_t crc32c(std::string_view bytes, uint32_t before) { return crc_with(castagnoli_tables, bytes, before); }

Md5 md5(std::string_view bytes) {
  Md5 digest{};
  unsigned size = 0;
  FL_ASSERT(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_md5(), nullptr) == 1 && size == digest.size());
  return digest;
}

void HashRing::add(std::string_view server_name, uint32_t weight, uint32_t server) {
  HostPort parts = split_server_name(server_name);
  uint32_t base = crc32(parts.port, crc32(std::string_view("\0", 1), crc32(parts.host)));
  uint32_t previous = 0;
  for (uint32_t i = 0; i < weight * 160; ++i) {
    char bytes[4];
    for (int k = 0; k < 4; ++k) bytes[k] = static_cast<char>(previous >> (8 * k) & 0xff);
    previous = crc32(std::string_view(bytes, 4), base);
    points_.push_back({previous, server});
  }
}

void HashRing::finish() {
  auto less = [](const RingPoint& a, const RingPoint& b) { return a.hash < b.hash; };
  auto same = [](const RingPoint& a, const RingPoint& b) { return a.hash == b.hash; };
  std::stable_sort(points_.begin(), points_.end(), less);
  points_.erase(std::unique(points_.begin(), points_.end(), same), points_.end());
  points_.shrink_to_fit();
}

size_t HashRing::find(uint32_t hash) const {
  FL_ASSERT(!points_.empty());
  auto found = std::lower_bound(points_.begin(), points_.end(), hash, [](const RingPoint& p, uint32_t wanted) { return p.hash < wanted; });
  return found == points_.end() ? 0 : static_cast<size_t>(found - points_.begin());
}

}  // namespace fairlead
