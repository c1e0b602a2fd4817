// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/slots.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead {
namespace {

struct Counted {
  int value = 7;
  int* ended = nullptr;
  ~Counted() {
    if (ended) ++*ended;
  }
};

TEST(Slots, OneValueOfEachType) {
  Slots slots;
  EXPECT_EQ(slots.find<std::string>(), nullptr);
  slots.use<std::string>() = "text";
  EXPECT_EQ(slots.use<Counted>().value, 7);
  slots.use<Counted>().value = 8;
  EXPECT_EQ(*slots.find<std::string>(), "text");
  EXPECT_EQ(slots.find<Counted>()->value, 8);
  EXPECT_EQ(slots.find<int>(), nullptr);
}

TEST(Slots, EndWithTheirOwner) {
  int ended = 0;
  {
    Slots slots;
    slots.use<Counted>().ended = &ended;
    slots.use<std::string>();
    EXPECT_EQ(ended, 0);
  }
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(sizeof(Slots), sizeof(void*));
}

TEST(Slots, AreSharedUntilTheLastOwnerEnds) {
  int ended = 0;
  Slots copy;
  {
    Slots first;
    first.use<Counted>().ended = &ended;
    first.use<std::string>() = "known";
    copy.share(first);
    EXPECT_EQ(copy.find<Counted>(), first.find<Counted>());
    first.use<int>() = 1;
    EXPECT_EQ(copy.find<int>(), nullptr);
    copy.use<int>() = 2;
    EXPECT_EQ(*first.find<int>(), 1);
  }
  EXPECT_EQ(ended, 0);
  EXPECT_EQ(*copy.find<std::string>(), "known");
  EXPECT_EQ(*copy.find<int>(), 2);
  copy.share(Slots());
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(copy.find<int>(), nullptr);
}

}  // namespace
}  // namespace fairlead
