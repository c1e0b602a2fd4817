// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/hash.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/base/encoding.h"

namespace fairlead {
namespace {

TEST(Hash, Crc32) {
  EXPECT_EQ(crc32("123456789"), 0xCBF43926u);
  EXPECT_EQ(crc32(""), 0u);
  EXPECT_EQ(crc32("The quick brown fox jumps over the lazy dog"), 0x414FA339u);
}

// RFC 3720 appendix B.4.
TEST(Hash, Crc32c) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  std::string rising;
  for (char c = 0; c < 32; ++c) rising.push_back(c);
  EXPECT_EQ(crc32c(rising), 0x46DD794Eu);
}

TEST(Hash, CrcInPieces) {
  std::string text;
  for (int i = 0; i < 70; ++i) text.push_back(static_cast<char>(i * 91));
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    std::string_view all = text;
    EXPECT_EQ(crc32(all.substr(cut), crc32(all.substr(0, cut))), crc32(all));
    EXPECT_EQ(crc32c(all.substr(cut), crc32c(all.substr(0, cut))), crc32c(all));
  }
}

// From an independent computation, which agreed with split_clients of nginx 1.22 on 300 keys.
TEST(Hash, Murmur2) {
  EXPECT_EQ(murmur2(""), 0u);
  EXPECT_EQ(murmur2("a"), 0x92685f5eu);
  EXPECT_EQ(murmur2("ab"), 0x1aa14063u);
  EXPECT_EQ(murmur2("abc"), 0x13577c9bu);
  EXPECT_EQ(murmur2("abcd"), 0x26873021u);
  EXPECT_EQ(murmur2("Hello, World!"), 0x2da26fc3u);
  EXPECT_EQ(murmur2("192.0.2.1"), 0xc8da48f3u);
  EXPECT_EQ(murmur2("\xff\xfe\xfd"), 0x3d614590u);
}

// RFC 1321 appendix A.5.
TEST(Hash, Md5) {
  auto text = [](std::string_view of) {
    Md5 digest = md5(of);
    return hex(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
  };
  EXPECT_EQ(text(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(text("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(Hash, BytesOfAllLengthsDiffer) {
  std::set<uint64_t> seen;
  for (size_t size = 0; size < 100; ++size) {
    std::string text(size, 'x');
    EXPECT_TRUE(seen.insert(hash_bytes(text)).second) << size;
    EXPECT_TRUE(seen.insert(hash_bytes(text, 1)).second) << size;
    for (size_t at = 0; at < size; ++at) {
      text[at] ^= 1;
      EXPECT_TRUE(seen.insert(hash_bytes(text)).second) << size << " " << at;
      text[at] ^= 1;
    }
  }
  std::string_view text = "0123456789abcdefghij";
  EXPECT_EQ(hash_bytes(text.substr(1, 18)), hash_bytes(std::string(text.substr(1, 18))));
}

// Low bits must do for a table: 2^16 similar keys over 2^8 buckets, each with 256 expected (standard deviation 16).
TEST(Hash, LowBitsSpread) {
  int texts[256] = {}, numbers[256] = {};
  for (uint64_t i = 0; i < 65536; ++i) {
    ++texts[hash_bytes("/path/" + std::to_string(i)) & 255];
    ++numbers[hash_number(i << 12) & 255];
  }
  for (int i = 0; i < 256; ++i) {
    EXPECT_NEAR(texts[i], 256, 96);
    EXPECT_NEAR(numbers[i], 256, 96);
  }
}

HashRing ring_of(std::string_view name) {
  HashRing ring;
  ring.add(name, 1, 7);
  ring.finish();
  return ring;
}

// The first point of each ring from an independent computation; nginx 1.22 agreed with it on 300 keys.
TEST(HashRing, Points) {
  HashRing ring = ring_of("10.0.0.1:80");
  EXPECT_EQ(ring.size(), 160u);
  EXPECT_EQ(ring[0], (RingPoint{0x00393daa, 7}));
  for (uint32_t hash : {0xa2ad5d56u, 0x0bdeb0abu, 0x75f00c5bu, 0x0a2a5f6fu}) EXPECT_EQ(ring[ring.find(hash)].hash, hash);
  EXPECT_EQ(ring_of("backend")[0].hash, 0x01231a50u);
  EXPECT_EQ(ring_of("unix:/tmp/a")[0].hash, 0x0213b22bu);
  EXPECT_EQ(ring_of("backend:")[0].hash, 0x01231a50u);  // no digits: the same as without a port
}

TEST(HashRing, FindWraps) {
  HashRing ring = ring_of("10.0.0.1:80");
  EXPECT_EQ(ring.find(0), 0u);
  EXPECT_EQ(ring.find(ring[0].hash), 0u);
  EXPECT_EQ(ring.find(ring[0].hash + 1), 1u);
  EXPECT_EQ(ring.find(ring[159].hash), 159u);
  EXPECT_EQ(ring.find(ring[159].hash + 1), 0u);
  EXPECT_EQ(ring.find(UINT32_MAX), 0u);
}

TEST(HashRing, EqualNamesShareThePoints) {
  HashRing ring;
  ring.add("a:1", 1, 1);
  ring.add("a:1", 2, 2);
  ring.finish();
  EXPECT_EQ(ring.size(), 320u);
  int first = 0;
  for (size_t i = 0; i < ring.size(); ++i) {
    first += ring[i].server == 1;
    if (i > 0) {
      EXPECT_LT(ring[i - 1].hash, ring[i].hash);
    }
  }
  EXPECT_EQ(first, 160);
}

// What nginx 1.22 chose for these servers (`hash $arg_k consistent`) for key0, key1, key4, key9, ... key529.
TEST(HashRing, ChoosesAsNginx) {
  HashRing ring;
  ring.add("127.0.0.1:39881", 1, 0);
  ring.add("127.0.0.1:39882", 3, 1);
  ring.add("unix:/tmp/or/s.sock", 1, 2);
  ring.finish();
  std::string chosen;
  for (int i = 0; i < 24; ++i) chosen += std::to_string(ring[ring.find(crc32("key" + std::to_string(i * i)))].server);
  EXPECT_EQ(chosen, "112011000110201211112112");
}

}  // namespace
}  // namespace fairlead
