// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The small pure parts: status file, environment, pace of respawns, identity.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "core/process/pid_file.h"
#include "core/process/process.h"
#include "core/process/title.h"
#include "core/process/workers.h"

namespace fairlead {
namespace {

using Strings = std::vector<std::string>;

TEST(ServerStatus, SurvivesTheFile) {
  ServerStatus status{.pid = 17, .started = 4, .finished = 3, .generation = 2, .ok = false, .reason = "two\nlines"};
  auto read = parse_status(format_status(status));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->pid, 17);
  EXPECT_EQ(read->started, 4u);
  EXPECT_EQ(read->finished, 3u);
  EXPECT_EQ(read->generation, 2u);
  EXPECT_FALSE(read->ok);
  EXPECT_EQ(read->reason, "two lines");
  EXPECT_FALSE(parse_status("").has_value());
  EXPECT_FALSE(parse_status("pid 1\nstarted x\nfinished 1\ngeneration 1\n").has_value());
}

TEST(Environment, KeepsWhatIsNamedAndTheTimeZone) {
  Strings now = {"A=1", "AB=2", "TZ=UTC", "C=3"};
  EXPECT_EQ(filtered_environment(Strings{}, now), (Strings{"TZ=UTC"}));
  EXPECT_EQ(filtered_environment(Strings{"A", "D", "E=x"}, now), (Strings{"A=1", "E=x", "TZ=UTC"}));
  EXPECT_EQ(filtered_environment(Strings{"TZ=CET"}, now), (Strings{"TZ=CET"}));
  EXPECT_EQ(filtered_environment(Strings{"TZ"}, now), (Strings{"TZ=UTC"}));
}

TEST(RespawnPace, FiveQuickDeathsAreFree) {
  RespawnPace pace;
  for (unsigned i = 0; i < RespawnPace::free_deaths; ++i) EXPECT_EQ(pace.died(10, false), 0u);
  EXPECT_EQ(pace.died(10, false), 100u);
  EXPECT_EQ(pace.died(10, false), 200u);
  EXPECT_EQ(pace.died(999, false), 400u);
  EXPECT_EQ(pace.died(10, false), 800u);
  EXPECT_EQ(pace.died(10, false), 1000u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pace.died(0, false), 1000u);
  EXPECT_EQ(pace.died(1000, false), 0u);  // it had got going
  EXPECT_EQ(pace.died(10, false), 0u);
}

TEST(RespawnPace, WhatServedIsReplacedInAMoment) {
  RespawnPace pace;
  for (unsigned i = 0; i < RespawnPace::free_deaths; ++i) EXPECT_EQ(pace.died(10, true), 0u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pace.died(10, true), RespawnPace::pause_after_service_ms);
}

TEST(WorkerTable, PlansComeDueInTime) {
  WorkerTable table;
  EXPECT_EQ(table.next_due_ms(), UINT64_MAX);
  table.plan_respawn(1, 100);
  table.plan_respawn(2, 50);
  EXPECT_EQ(table.next_due_ms(), 50u);
  EXPECT_TRUE(table.due(49).empty());
  EXPECT_EQ(table.due(60), std::vector<unsigned>{2});
  EXPECT_EQ(table.next_due_ms(), 100u);
}

TEST(Identity, ErrorsAreWordedAsNginxWordsThem) {
  auto root = find_identity("root", "");
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(root->user, 0u);
  EXPECT_NE(std::find(root->groups.begin(), root->groups.end(), root->group), root->groups.end());
  EXPECT_EQ(find_identity("no-such-user", "").error(), "getpwnam(\"no-such-user\") failed");
  EXPECT_EQ(find_identity("root", "no-such-group").error(), "getgrnam(\"no-such-group\") failed");
}

TEST(Executable, ABareNameIsWhereWeRunFrom) {
  EXPECT_EQ(executable_path("./server"), "./server");
  char path[4096];
  EXPECT_EQ(executable_path("server"), std::string(path, static_cast<size_t>(readlink("/proc/self/exe", path, sizeof(path)))));
}

}  // namespace
}  // namespace fairlead
