// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/shm.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fairlead {
namespace {

const char limits = 0, sessions = 0;  // their addresses are the owners
constexpr size_t small = 64 * 1024;

struct Root {
  int number;
  Root* self;
};

Root* make_root(Zone& zone, int number) {
  ShmLockGuard guard = zone.lock();
  auto* root = static_cast<Root*>(zone.slab().allocate(sizeof(Root)));
  *root = {number, root};
  zone.set_root(root);
  return root;
}

TEST(ZoneSet, DeclarationsOfOneNameMustAgree) {
  ZoneSet zones;
  Zone* zone = *zones.declare("one", small, &limits);
  EXPECT_EQ(*zones.declare("one", small, &limits), zone);
  EXPECT_EQ(*zones.declare("one", 0, &limits), zone);
  EXPECT_EQ(zones.find("one"), zone);
  EXPECT_EQ(zones.find("two"), nullptr);
  EXPECT_EQ(zones.declare("one", small + 1, &limits).error(),
            "the size 65537 of shared memory zone \"one\" conflicts with already declared size 65536");
  EXPECT_EQ(zones.declare("one", small, &sessions).error(), "the shared memory zone \"one\" is already declared for a different use");
  EXPECT_EQ(zones.declare("tiny", 4096, &limits).error(), "zone \"tiny\" is too small");
}

TEST(ZoneSet, AReferenceMayComeBeforeTheSize) {
  ZoneSet zones;
  Zone* zone = *zones.declare("late", 0, &limits);
  EXPECT_EQ(*zones.declare("late", small, &limits), zone);
  EXPECT_EQ(zone->bytes(), small);
  ZoneSet without;
  ASSERT_TRUE(without.declare("never", 0, &limits));
  EXPECT_EQ(without.attach(nullptr).error(), "zero size shared memory zone \"never\"");
}

TEST(ZoneSet, ContentsSurviveAReloadThatNamesTheSameZone) {
  auto first = std::make_unique<ZoneSet>();
  Zone* zone = *first->declare("one", small, &limits);
  ASSERT_TRUE(first->attach(nullptr));
  EXPECT_FALSE(zone->taken_over());
  EXPECT_EQ(zone->root<Root>(), nullptr);
  Root* root = make_root(*zone, 42);

  ZoneSet second;
  Zone* same = *second.declare("one", small, &limits);
  Zone* other = *second.declare("two", small, &limits);
  ASSERT_TRUE(second.attach(first.get()));
  EXPECT_TRUE(same->taken_over());
  EXPECT_FALSE(other->taken_over());
  first.reset();
  EXPECT_EQ(same->root<Root>(), root);
  EXPECT_EQ(root->self->number, 42);
}

TEST(ZoneSet, AnotherSizeOrOwnerStartsFresh) {
  ZoneSet first;
  Zone* one = *first.declare("one", small, &limits);
  Zone* two = *first.declare("two", small, &limits);
  ASSERT_TRUE(first.attach(nullptr));
  make_root(*one, 1);
  make_root(*two, 2);
  ZoneSet second;
  Zone* bigger = *second.declare("one", 2 * small, &limits);
  Zone* changed = *second.declare("two", small, &sessions);
  ASSERT_TRUE(second.attach(&first));
  EXPECT_EQ(bigger->root<Root>(), nullptr);
  EXPECT_EQ(changed->root<Root>(), nullptr);
  EXPECT_GT(bigger->slab().capacity_bytes(), one->slab().capacity_bytes());
}

TEST(ZoneSet, AFailedReloadChangesNothing) {
  ZoneSet first;
  Zone* zone = *first.declare("one", small, &limits);
  ASSERT_TRUE(first.attach(nullptr));
  make_root(*zone, 7);
  {
    ZoneSet second;
    ASSERT_TRUE(second.declare("one", small, &limits));
    ASSERT_TRUE(second.declare("missing", 0, &limits));
    EXPECT_FALSE(second.attach(&first));
  }
  {
    ZoneSet second;
    ASSERT_TRUE(second.declare("huge", size_t{1} << 60, &limits));
    ConfResult<> result = second.attach(&first);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error(), "mmap(MAP_ANON|MAP_SHARED, 1152921504606846976) failed (12: Cannot allocate memory)");
  }
  EXPECT_EQ(zone->root<Root>()->number, 7);
}

TEST(Zone, WorkersShareItAtTheSameAddress) {
  ZoneSet zones;
  Zone* zone = *zones.declare("one", small, &limits);
  ASSERT_TRUE(zones.attach(nullptr));
  Root* root = make_root(*zone, 0);
  for (int worker = 0; worker < 2; ++worker) {
    pid_t id = fork();
    if (id == 0) {
      for (int i = 0; i < 1000; ++i) {
        ShmLockGuard guard = zone->lock();
        ++zone->root<Root>()->self->number;
      }
      _exit(0);
    }
  }
  while (wait(nullptr) > 0) {
  }
  EXPECT_EQ(root->number, 2000);
}

pid_t die_with_lock(Zone& zone) {
  pid_t id = fork();
  if (id == 0) {
    ShmLockGuard guard = zone.lock();
    zone.root<Root>()->number = -1;
    raise(SIGKILL);
  }
  waitpid(id, nullptr, 0);
  return id;
}

TEST(Zone, TheOwnersRepairRunsAfterADeathWithTheLock) {
  ZoneSet zones;
  Zone* zone = *zones.declare("one", small, &limits);
  ASSERT_TRUE(zones.declare("two", small, &limits));
  ASSERT_TRUE(zones.attach(nullptr));
  Root* root = make_root(*zone, 5);
  zone->set_repair({[](void* state) { static_cast<Zone*>(state)->root<Root>()->number = 100; }, zone});
  pid_t dead = die_with_lock(*zone);
  EXPECT_EQ(zones.break_locks(dead), 1);
  EXPECT_EQ(zones.break_locks(dead), 0);
  EXPECT_EQ(root->number, -1);
  ShmLockGuard guard = zone->lock();
  EXPECT_EQ(zone->root<Root>(), root);
  EXPECT_EQ(root->number, 100);
}

TEST(Zone, WithoutARepairItIsEmptied) {
  ZoneSet zones;
  Zone* zone = *zones.declare("one", small, &limits);
  ASSERT_TRUE(zones.attach(nullptr));
  make_root(*zone, 5);
  zones.break_locks(die_with_lock(*zone));
  ShmLockGuard guard = zone->lock();
  EXPECT_EQ(zone->root<Root>(), nullptr);
  EXPECT_EQ(zone->slab().free_bytes(), zone->slab().capacity_bytes());
}

TEST(Zone, WhatADeadProcessHeldIsGivenBackByItsOwner) {
  ZoneSet zones;
  Zone* zone = *zones.declare("one", small, &limits);
  ASSERT_TRUE(zones.declare("two", small, &limits));  // whose owner has nothing to give back
  ASSERT_TRUE(zones.attach(nullptr));
  make_root(*zone, 0);
  zone->set_forget([](Zone& of, pid_t dead) {
    ShmLockGuard guard = of.lock();
    of.root<Root>()->number += dead;
  });
  zones.forget_process(7);
  ShmLockGuard guard = zone->lock();
  EXPECT_EQ(zone->root<Root>()->number, 7);
}

}  // namespace
}  // namespace fairlead
