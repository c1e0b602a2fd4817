// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The loop of a test.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "core/base/error.h"
#include "event/loop/loop.h"
#include "event/loop/nursery.h"

namespace fairlead {

inline std::unique_ptr<Loop> open_loop() {
  auto loop = Loop::open();
  FL_ASSERT(loop);
  return std::move(*loop);
}

// Turns until the nursery has no task left, for a bounded time.
inline void run_until_idle(Loop& loop, Nursery& nursery) {
  for (int i = 0; i < 5000 && nursery.count() > 0; ++i) loop.turn(50);
  EXPECT_EQ(nursery.count(), 0u);
}

}  // namespace fairlead
