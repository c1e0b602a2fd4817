// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Names while a configuration loads: all at once, within a time, and no child process is left behind.
#include "core/conf/resolve_now.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>

#include "core/base/clock.h"

using namespace fairlead;

namespace {

bool has_children() { return waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

TEST(ResolveAll, GivesWhatIsKnownWithItsPort) {
  std::vector<NameToResolve> names;
  for (uint16_t port = 1; port <= 40; ++port) names.push_back({"localhost", port, {}});
  names.push_back({"no-such-name.invalid", 80, {}});
  resolve_all(names, 20'000);
  for (size_t i = 0; i < 40; ++i) {
    ASSERT_FALSE(names[i].found.empty()) << i;
    EXPECT_EQ(names[i].found[0].port(), i + 1);
  }
  EXPECT_TRUE(names[40].found.empty());
  EXPECT_FALSE(has_children());
}

TEST(ResolveAll, EndsWhenItsTimeIsOver) {
  std::vector<NameToResolve> names = {{"localhost", 80, {}}, {"no-such-name.invalid", 80, {}}};
  Clock time;
  time.update();
  uint64_t began = time.now_ms();
  resolve_all(names, 0);
  time.update();
  EXPECT_LT(time.now_ms() - began, 20'000u);
  EXPECT_FALSE(has_children());
}

TEST(ResolveAll, NothingToAskIsNoWait) {
  resolve_all({}, 60'000);
  EXPECT_FALSE(has_children());
}

}  // namespace
