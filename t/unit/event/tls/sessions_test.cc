// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Ticket keys in a zone: each encrypts for the life of a session, decrypts for that time again, then is gone; keys of files stay in order.
#include "event/tls/sessions.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace fairlead;

namespace {

constexpr char owner = 0;
constexpr int64_t start_s = 1'000'000, life_s = 300;

struct SharedKeys : testing::Test {
  SharedKeys() {
    auto declared = zones.declare("S", 64 * 1024, &owner);
    FL_ASSERT(declared);
    zone = *declared;
    auto attached = zones.attach(nullptr);
    FL_ASSERT(attached);
  }
  TlsSessions sessions() const { return TlsSessions({{TlsSessionCache::Kind::shared, 0, zone}, true, life_s}, {}); }
  ZoneSet zones;
  Zone* zone = nullptr;
};

bool same(const TicketKey& a, const TicketKey& b) { return std::memcmp(a.name, b.name, sizeof a.name) == 0; }

TEST_F(SharedKeys, AllWorkersHaveOneKey) {
  TlsSessions one = sessions(), other = sessions();
  EXPECT_TRUE(same(one.current_key(start_s), other.current_key(start_s + life_s - 1)));
}

TEST_F(SharedKeys, AKeyDecryptsForASecondLifeAndIsGone) {
  TlsSessions all = sessions();
  TicketKey first = all.current_key(start_s), found;
  bool is_current = false;
  EXPECT_TRUE(all.find_key(first.name, start_s + 1, found, is_current));
  EXPECT_TRUE(is_current);
  EXPECT_TRUE(all.find_key(first.name, start_s + life_s, found, is_current));
  EXPECT_FALSE(is_current);
  EXPECT_EQ(std::memcmp(&first, &found, sizeof found), 0);
  EXPECT_FALSE(same(all.current_key(start_s + life_s), first));
  EXPECT_FALSE(all.find_key(first.name, start_s + 2 * life_s, found, is_current));
}

TEST_F(SharedKeys, AKeyThatNobodyUsedForLongIsNotTakenAlong) {
  TlsSessions all = sessions();
  TicketKey first = all.current_key(start_s), found;
  bool is_current = false;
  EXPECT_FALSE(all.find_key(first.name, start_s + 2 * life_s, found, is_current));
}

TEST(FileKeys, TheFirstEncryptsAllDecrypt) {
  TicketKey a{}, b{};
  a.name[0] = 'a';
  b.name[0] = 'b';
  TlsSessions all({{}, true, 300}, {a, b});
  TicketKey found;
  bool is_current = false;
  EXPECT_TRUE(same(all.current_key(start_s), a));
  EXPECT_TRUE(all.find_key(b.name, start_s, found, is_current) && same(found, b) && !is_current);
  EXPECT_TRUE(all.find_key(a.name, start_s, found, is_current) && is_current);
  const unsigned char unknown[TicketKey::name_bytes] = {'c'};
  EXPECT_FALSE(all.find_key(unknown, start_s, found, is_current));
}

}  // namespace
