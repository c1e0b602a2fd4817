// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/table.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <random>
#include <string>

namespace fairlead {
namespace {

struct Visit {
  uint64_t count;
  uint32_t stamp;
  uint32_t pinned;
};
using Visits = ShmTable<Visit>;
bool not_pinned(const Visit& visit) { return !visit.pinned; }

const char owner = 0;

class ShmTableTest : public testing::Test {
 protected:
  Zone& open(size_t bytes) {
    zone = *zones.declare("visits", bytes, &owner);
    EXPECT_TRUE(zones.attach(nullptr));
    return *zone;
  }
  static std::string order(Visits& table) {
    std::string keys;
    for (Visit* visit = table.oldest(); visit; visit = table.newer(visit)) {
      keys.append(table.key_of(visit));
      keys.push_back(' ');
    }
    return keys;
  }
  ZoneSet zones;
  Zone* zone = nullptr;
};

TEST_F(ShmTableTest, FindsWhatWasInsertedAndStartsAtZero) {
  Visits& table = Visits::in(open(64 * 1024));
  EXPECT_EQ(table.find("a"), nullptr);
  auto [visit, fresh] = table.find_or_insert("a");
  ASSERT_NE(visit, nullptr);
  EXPECT_TRUE(fresh);
  EXPECT_EQ(visit->count, 0u);
  visit->count = 3;
  EXPECT_EQ(table.find("a"), visit);
  auto again = table.find_or_insert("a");
  EXPECT_EQ(again.value, visit);
  EXPECT_FALSE(again.fresh);
  EXPECT_EQ(table.find("A"), nullptr);
  EXPECT_EQ(table.key_of(visit), "a");
  EXPECT_EQ(&Visits::in(*zone), &table);
  table.remove(visit);
  EXPECT_EQ(table.find("a"), nullptr);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.find_or_insert("a").value->count, 0u);  // not the bytes of the one before
}

TEST_F(ShmTableTest, KeysAreAnyBytesUpTo65535) {
  Visits& table = Visits::in(open(1 << 20));
  std::string longest(65535, 'k'), zero("\0x\0", 3);
  EXPECT_TRUE(table.find_or_insert("").fresh);
  EXPECT_TRUE(table.find_or_insert(zero).fresh);
  EXPECT_TRUE(table.find_or_insert(longest).fresh);
  EXPECT_EQ(table.key_of(table.find(longest)), longest);
  EXPECT_EQ(table.key_of(table.find(zero)), zero);
  EXPECT_NE(table.find(""), nullptr);
  EXPECT_EQ(table.find(longest + "k"), nullptr);
  EXPECT_EQ(table.find_or_insert(longest + "k").value, nullptr);
  EXPECT_EQ(table.size(), 3u);
}

TEST_F(ShmTableTest, OrderIsByLastUse) {
  Visits& table = Visits::in(open(64 * 1024));
  for (const char* key : {"a", "b", "c", "d"}) table.find_or_insert(key);
  EXPECT_EQ(order(table), "a b c d ");
  table.find("a");
  EXPECT_EQ(order(table), "a b c d ");
  table.touch(table.find("b"));
  table.touch(table.find("b"));
  EXPECT_EQ(order(table), "a c d b ");
  table.find_or_insert("a");
  EXPECT_EQ(order(table), "c d b a ");
  table.remove(table.find("d"));
  table.remove(table.find("a"));
  table.remove(table.find("c"));
  EXPECT_EQ(order(table), "b ");
}

TEST_F(ShmTableTest, ExpireStopsAtTheFirstYoungOne) {
  Visits& table = Visits::in(open(64 * 1024));
  for (uint32_t i = 0; i < 10; ++i) table.find_or_insert(std::to_string(i)).value->stamp = i;
  auto is_old = [](const Visit& visit) { return visit.stamp < 5; };
  EXPECT_EQ(table.expire(2, is_old), 2);
  EXPECT_EQ(table.expire(100, is_old), 3);
  EXPECT_EQ(order(table), "5 6 7 8 9 ");
  EXPECT_EQ(table.expire(100, [](const Visit&) { return true; }), 5);
  EXPECT_EQ(table.expire(1, [](const Visit&) { return true; }), 0);
}

TEST_F(ShmTableTest, AFullZoneDropsTheOldest) {
  Visits& table = Visits::in(open(zone_bytes_min));
  int inserted = 0;
  while (table.evictions() == 0) ASSERT_NE(table.find_or_insert("key " + std::to_string(inserted++)).value, nullptr);
  EXPECT_EQ(table.find("key 0"), nullptr);
  EXPECT_NE(table.find("key 1"), nullptr);
  size_t full = table.size();
  EXPECT_GT(full, 200u);  // 64 bytes each
  for (int i = 0; i < 1000; ++i) ASSERT_NE(table.find_or_insert("key " + std::to_string(inserted++)).value, nullptr);
  EXPECT_EQ(table.size(), full);
  EXPECT_EQ(table.key_of(table.oldest()), "key " + std::to_string(inserted - static_cast<int>(full)));
}

TEST_F(ShmTableTest, PinnedEntriesAreKeptAndTheWorkIsBounded) {
  Visits& table = Visits::in(open(zone_bytes_min));
  int inserted = 0;
  for (;; ++inserted) {
    Visit* visit = table.find_or_insert<not_pinned>(std::to_string(inserted)).value;
    if (!visit) break;
    visit->pinned = 1;
  }
  EXPECT_EQ(table.evictions(), 0u);
  EXPECT_EQ(table.size(), static_cast<size_t>(inserted));
  // Entry 5 is among those looked at, entry 100 is not.
  table.find("100")->pinned = 0;
  EXPECT_EQ(table.find_or_insert<not_pinned>("new").value, nullptr);
  table.find("5")->pinned = 0;
  EXPECT_NE(table.find_or_insert<not_pinned>("new").value, nullptr);
  EXPECT_EQ(table.find("5"), nullptr);
  EXPECT_NE(table.find("100"), nullptr);
}

TEST_F(ShmTableTest, LargeEntriesAmongSmallOnesGetRoomAfterSomeCalls) {
  Visits& table = Visits::in(open(256 * 1024));
  int inserted = 0;
  while (table.evictions() == 0) table.find_or_insert(std::to_string(inserted++));
  int calls = 1;
  while (!table.find_or_insert("large", 8000).value) ASSERT_LT(++calls, 50);
  EXPECT_EQ(table.tail_bytes_of(table.find("large")), 8000u);
}

TEST_F(ShmTableTest, TailsAreKeptWithTheEntry) {
  Visits& table = Visits::in(open(1 << 20));
  for (uint32_t size : {0u, 1u, 100u, 5000u}) {
    Visit* visit = table.find_or_insert("session " + std::to_string(size), size).value;
    std::memset(table.tail_of(visit), static_cast<int>('a' + size % 7), size);
  }
  for (uint32_t size : {0u, 1u, 100u, 5000u}) {
    Visit* visit = table.find("session " + std::to_string(size));
    ASSERT_EQ(table.tail_bytes_of(visit), size);
    EXPECT_EQ(std::string(table.tail_of(visit), size), std::string(size, static_cast<char>('a' + size % 7)));
  }
}

TEST_F(ShmTableTest, RandomWorkloadAgreesWithAModel) {
  struct Known {
    std::string key;
    uint64_t count;
  };
  Visits& table = Visits::in(open(128 * 1024));
  std::list<Known> model;  // oldest first
  std::mt19937 random(7);
  uint64_t evictions = 0;
  for (int step = 0; step < 60'000; ++step) {
    auto number = random() % 3000;
    std::string key = std::string(number % 40, 'x') + std::to_string(number);  // blocks of two sizes
    auto known = std::find_if(model.begin(), model.end(), [&](const Known& k) { return k.key == key; });
    auto action = random() % 10;
    if (action < 7) {
      auto [visit, fresh] = table.find_or_insert(key);
      ASSERT_NE(visit, nullptr);
      for (; evictions < table.evictions(); ++evictions) model.pop_front();
      ASSERT_EQ(fresh, known == model.end());
      if (fresh) {
        model.push_back({key, 0});
      } else {
        model.splice(model.end(), model, known);
      }
      ASSERT_EQ(visit->count++, model.back().count++);
    } else if (action == 7) {
      Visit* visit = table.find(key);
      ASSERT_EQ(visit != nullptr, known != model.end());
      if (visit) {
        ASSERT_EQ(visit->count, known->count);
        table.remove(visit);
        model.erase(known);
      }
    } else {
      Visit* visit = table.find(key);
      ASSERT_EQ(visit != nullptr, known != model.end());
    }
    ASSERT_EQ(table.size(), model.size());
  }
  EXPECT_GT(evictions, 100u);
  Visit* visit = table.oldest();
  for (const Known& known : model) {
    ASSERT_NE(visit, nullptr);
    EXPECT_EQ(table.key_of(visit), known.key);
    EXPECT_EQ(visit->count, known.count);
    visit = table.newer(visit);
  }
  EXPECT_EQ(visit, nullptr);
}

TEST_F(ShmTableTest, WorkersShareItAndADeadOneLeavesAnEmptyTable) {
  open(1 << 20);
  for (int worker = 0; worker < 2; ++worker) {
    if (fork() == 0) {
      for (int i = 0; i < 2000; ++i) {
        ShmLockGuard guard = zone->lock();
        ++Visits::in(*zone).find_or_insert(std::to_string(i % 50)).value->count;
      }
      _exit(0);
    }
  }
  while (wait(nullptr) > 0) {
  }
  {
    ShmLockGuard guard = zone->lock();
    uint64_t sum = 0;
    Visits& table = Visits::in(*zone);
    for (Visit* visit = table.oldest(); visit; visit = table.newer(visit)) sum += visit->count;
    EXPECT_EQ(sum, 4000u);
    EXPECT_EQ(table.size(), 50u);
  }
  pid_t id = fork();
  if (id == 0) {
    ShmLockGuard guard = zone->lock();
    raise(SIGKILL);
  }
  waitpid(id, nullptr, 0);
  EXPECT_EQ(zones.break_locks(id), 1);
  ShmLockGuard guard = zone->lock();
  EXPECT_EQ(Visits::in(*zone).size(), 0u);
}

}  // namespace
}  // namespace fairlead
